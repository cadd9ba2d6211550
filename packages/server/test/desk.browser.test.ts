import { limits } from '@parley/protocol'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Child, startChild } from './child.ts'
import { answer, launchBrowser, openDesk } from './pages.ts'

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

test('a message that is too long is edited, not tried again', async () => {
  const visitor = await server.person('contact')
  const { conversation } = await visitor.call('conversation.create', {
    kind: 'support',
    inboxId: server.inboxId,
  })
  const desk = await openDesk(browser, server.url)
  await desk.goto(`${server.url}/desk/open/${conversation.id}`)
  await answer(desk, 'a'.repeat(limits.messageBytes + 1))
  await desk.getByText('Not sent.').waitFor()
  expect(await desk.getByRole('button', { name: 'Try again' }).count()).toBe(0)
  await desk.getByRole('button', { name: 'Edit' }).click()
  await desk.getByText('Not sent.').waitFor({ state: 'detached' })
  expect(await desk.locator('textarea:focus').inputValue()).toMatch(/^a{32769}$/)
  await answer(desk, 'Short again')
  await desk.getByRole('log').getByText('Short again').waitFor()
})
