import { limits } from '@parley/protocol'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Child, startChild } from './child.ts'
import { launchBrowser, openSite, say } from './pages.ts'
import { smallTargets } from './touch.ts'

/** What a visitor sees of the widget in a real browser. */
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

test('a conversation that is closed while somebody writes leaves text and keyboard where they are', async () => {
  const { site, conversationId } = await talking('Before it was closed')
  await composerOf(site).pressSequentially('Half a thou')
  await server.owner.call('conversation.close', { conversationId })
  await site.getByText('This conversation was closed.').waitFor()
  await site.keyboard.type('ght more')
  expect(await composerOf(site).inputValue()).toBe('Half a thought more')

  await site.keyboard.press('Enter')
  await site.locator('.line[data-status=sent]', { hasText: 'Half a thought more' }).waitFor()
  const { conversation } = await server.owner.call('conversation.get', { conversationId })
  expect(conversation.status).not.toBe('closed')
})

test('after the time in which it opens again, the text goes into a new conversation', async () => {
  await server.owner.call('inbox.update', { inboxId: server.inboxId, reopenHours: 0 })
  const { site, conversationId } = await talking('Long ago')
  await composerOf(site).pressSequentially('I have one more question')
  await server.owner.call('conversation.close', { conversationId })
  await site.getByText('This conversation was closed.').waitFor()
  await site.keyboard.press('Enter')
  await expect.poll(async () => (await newest()).lastMessage?.body).toBe('I have one more question')
  expect((await newest()).conversation.id).not.toBe(conversationId)
})

test('a message that is too long is edited, not tried again', async () => {
  const { site } = await talking('A short one')
  await say(site, 'a'.repeat(limits.messageBytes + 1))
  await site.locator('.status.failed').waitFor()
  expect(await site.getByRole('button', { name: 'Try again' }).count()).toBe(0)
  await composerOf(site).fill('written meanwhile')
  await site.getByRole('button', { name: 'Edit' }).click()
  await site.locator('.line[data-status=failed]').waitFor({ state: 'detached' })
  expect(await composerOf(site).inputValue()).toMatch(/^a{32769}\n\nwritten meanwhile$/)
  await say(site, 'Short again')
  await site.locator('.line[data-status=sent]', { hasText: 'Short again' }).waitFor()
})

test('on a phone everything of the widget can be touched', async () => {
  const visitor = await browser.newContext({
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
  })
  const page = await visitor.newPage()
  await page.goto(server.url)
  await page.getByRole('button', { name: 'Open chat' }).waitFor()
  expect(await smallTargets(page, '.launcher')).toEqual([])
  const { site, conversationId } = await talking('Does everything fit?', visitor)
  await say(site, 'a'.repeat(limits.messageBytes + 1))
  await site.locator('.status.failed').waitFor()
  await site
    .locator('input[type=file]')
    .setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a') })
  await site.getByRole('button', { name: 'Remove a.txt' }).waitFor()
  expect(await smallTargets(site, '.panel')).toEqual([])
  await site.getByRole('button', { name: 'Remove a.txt' }).click()
  await server.owner.call('conversation.close', { conversationId })
  await site.getByRole('button', { name: 'Close chat' }).focus()
  await site.reload()
  await site.getByRole('button', { name: /^Open chat/ }).click()
  await site.getByRole('button', { name: 'Write again' }).waitFor()
  expect(await smallTargets(site, '.panel')).toEqual([])
})

/** A visitor who has written, in the conversation that this began. */
async function talking(
  text: string,
  visitor?: BrowserContext,
): Promise<{ site: Page; conversationId: string }> {
  const site = await openSite(visitor ?? (await browser.newContext()), server.url)
  await say(site, text)
  await site.locator('.line[data-status=sent]', { hasText: text }).waitFor()
  return { site, conversationId: (await newest()).conversation.id }
}

async function newest() {
  const { conversations } = await server.owner.call('conversation.list', {})
  const [first] = conversations
  if (!first) throw new Error('There is no conversation')
  return first
}

const composerOf = (site: Page) => site.getByRole('textbox', { name: 'Message' })
