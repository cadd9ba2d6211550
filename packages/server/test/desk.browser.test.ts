import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Child, startChild } from './child.ts'
import { launchBrowser } from './pages.ts'

/** The desk in a real browser, where focus, sizes and what the browser refuses can be seen. */
let browser: Browser
let server: Child

beforeAll(async () => {
  browser = await launchBrowser()
  server = await startChild()
})

afterAll(async () => {
  await browser?.close()
  await server?.[Symbol.asyncDispose]()
})

test('a wrong password leaves the keyboard in the password field, which says what is wrong', async () => {
  const desk = await browser.newPage()
  await desk.goto(`${server.url}/desk`)
  await desk.getByLabel('E-mail').fill('olga@example.com')
  await desk.getByLabel('Password').fill('not the password')
  await desk.getByRole('button', { name: 'Sign in' }).click()
  await desk.getByRole('alert').getByText('E-mail or password is wrong.').waitFor()
  const field = desk.getByLabel('Password')
  await desk.locator('input[type=password]:focus').waitFor()
  expect(await field.getAttribute('aria-invalid')).toBe('true')
  const described = await field.getAttribute('aria-describedby')
  expect(await desk.locator(`[id="${described}"]`).textContent()).toBe('E-mail or password is wrong.')
  await desk.keyboard.type('something else')
  expect(await field.inputValue()).toBe('something else')
})
