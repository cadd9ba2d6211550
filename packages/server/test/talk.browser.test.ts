import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makePlace, type Place } from '../src/testing.ts'
import { type Child, startChild } from './child.ts'
import { answer, freePort, launchBrowser, openChat, openDesk, openSite, say } from './pages.ts'

/**
 * A visitor and an agent in two real browsers, on a server in a process of its own that is killed and started again
 * under them. What they see is read from the pages, as people would.
 */
const patiently = { timeout: 15_000 }

let browser: Browser
let place: Place
let port: string
let server: Child

beforeAll(async () => {
  browser = await launchBrowser()
  place = await makePlace()
  port = await freePort()
  server = await startChild({ place, env: { PORT: port } })
})

afterAll(async () => {
  await browser?.close()
  await server?.stop()
  await place?.remove()
})

test('they talk: typing, delivered and read appear on the other side', async () => {
  const { site, desk } = await cast()
  await say(site, 'Hello, is anybody here?')
  await desk.getByText('Hello, is anybody here?').first().click()
  await expect.poll(() => statusOf(site, 'Hello, is anybody here?'), patiently).toBe('read')

  await desk.getByRole('textbox', { name: 'Write a reply' }).pressSequentially('Good mor')
  await site.getByText(/is typing/).waitFor()
  await desk.getByRole('textbox', { name: 'Write a reply' }).pressSequentially('ning!')
  await desk.keyboard.press('Enter')
  await site.getByText('Good morning!').waitFor()
  await desk.getByText(/^Read/).first().waitFor()

  await site.getByRole('button', { name: 'Close chat' }).click()
  await answer(desk, 'Are you still there?')
  await site.getByRole('button', { name: 'Open chat, 1 unread' }).waitFor()
  await desk
    .getByText(/^Delivered/)
    .first()
    .waitFor()
})

test('the server is killed between two messages, and both pages carry on by themselves', async () => {
  const { site, desk } = await cast()
  await say(site, 'Before the fall')
  await desk.getByText('Before the fall').first().click()
  await answer(desk, 'I can hear you')
  await site.getByText('I can hear you').waitFor()

  server.process.kill('SIGKILL')
  await server.exited
  await say(site, 'Written while the server was dead')
  server = await startChild({ place, env: { PORT: port } })

  await desk
    .getByRole('log', { name: 'Messages' })
    .getByText('Written while the server was dead')
    .waitFor({ timeout: 40_000 })
  await answer(desk, 'And I answer after it')
  await site.getByText('And I answer after it').waitFor({ timeout: 40_000 })
  const told = [
    'Before the fall',
    'I can hear you',
    'Written while the server was dead',
    'And I answer after it',
  ]
  expect(await lines(site)).toEqual(told)
})

test('what the visitor writes offline is kept, shown as waiting, and arrives once', async () => {
  const { site, desk, visitor } = await cast()
  await say(site, 'I am going into a tunnel')
  await desk.getByText('I am going into a tunnel').first().click()
  await visitor.setOffline(true)
  await say(site, 'In the tunnel')
  await say(site, 'Still in the tunnel')
  expect(['queued', 'sending']).toContain(await statusOf(site, 'Still in the tunnel'))
  await visitor.setOffline(false)
  const thread = desk.getByRole('log', { name: 'Messages' })
  await thread.getByText('Still in the tunnel').waitFor({ timeout: 40_000 })
  expect(await thread.getByText('In the tunnel', { exact: true }).count()).toBe(1)
  expect(await lines(site)).toEqual(['I am going into a tunnel', 'In the tunnel', 'Still in the tunnel'])
})

test('two tabs of one visitor agree, and a reload loses nothing', async () => {
  const { site, visitor } = await cast()
  await say(site, 'From the first tab')
  await expect.poll(() => statusOf(site, 'From the first tab'), patiently).toMatch(/sent|delivered|read/)
  const second = await openSite(visitor, server.url)
  await second.getByText('From the first tab').waitFor()
  await say(second, 'From the second tab')
  await site.getByText('From the second tab').waitFor()
  await site.reload()
  await openChat(site)
  await site.getByText('From the second tab').waitFor()
  expect(await lines(site)).toEqual(['From the first tab', 'From the second tab'])
})

/** A fresh visitor with the chat open, and an agent at the desk. */
async function cast(): Promise<{ site: Page; desk: Page; visitor: BrowserContext }> {
  const visitor = await browser.newContext()
  const site = await openSite(visitor, server.url)
  const desk = await openDesk(browser, server.url)
  return { site, desk, visitor }
}

const line = (site: Page, text: string) => site.locator('.line').filter({ hasText: text })
const statusOf = (site: Page, text: string) => line(site, text).first().getAttribute('data-status')
const lines = (site: Page) => site.locator('.line .text').allTextContents()
