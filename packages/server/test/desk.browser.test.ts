import { limits } from '@parley/protocol'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Child, startChild } from './child.ts'
import { answer, launchBrowser, openDesk } from './pages.ts'
import { smallTargets } from './touch.ts'

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

test('a toast covers neither the head of the thread nor what is said and written', async () => {
  const desk = await inConversation('The first line of a short thread')
  await desk.route('**/attachments', (route) => route.fulfill({ status: 500, body: '{}' }))
  await desk
    .locator('input[type=file]')
    .setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a') })
  const toast = await boxOf(desk.getByText('a.txt could not be attached.'))
  for (const part of ['.thread-bar', '.thread-scroller', '.composer', '.list-pane', '.details-pane']) {
    const box = await boxOf(desk.locator(part).first())
    const isApart = toast.y + toast.height <= box.y || box.y + box.height <= toast.y
    expect(isApart || toast.x + toast.width <= box.x || box.x + box.width <= toast.x, part).toBe(true)
  }
})

test('Escape goes from the composer to the messages, and from there back to the row that was opened', async () => {
  const desk = await inConversation()
  const focused = (place: string) => desk.locator(`${place}:focus`).waitFor()
  await desk.getByRole('textbox', { name: 'Write a reply' }).press('Escape')
  await focused('.thread-scroller')
  const row = await desk.locator('.row[aria-current]').getAttribute('href')
  await desk.keyboard.press('Escape')
  await focused(`.row[href="${row}"]`)
})

test('on a narrow screen the keyboard goes with what comes into sight, and back', async () => {
  const desk = await inConversation('Hello', { viewport: { width: 390, height: 844 } })
  const focused = (place: string) => desk.locator(`${place}:focus`).waitFor()
  await desk.getByRole('link', { name: 'Details' }).press('Enter')
  await focused('.details-pane a')
  await desk.keyboard.press('Escape')
  await focused('[aria-label="Details"]')
  const row = new URL(desk.url()).pathname
  await desk.keyboard.press('Escape')
  await focused(`.row[href="${row}"]`)
  await desk.keyboard.press('Enter')
  await focused('.thread-scroller')
})

test('on a phone everything at the desk can be touched', async () => {
  const phone = {
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
  }
  const stranger = await (await browser.newContext(phone)).newPage()
  await stranger.goto(`${server.url}/desk`)
  await stranger.getByLabel('Password').waitFor()
  expect(await smallTargets(stranger)).toEqual([])

  const desk = await inConversation('Does everything fit?', phone)
  await answer(desk, 'a'.repeat(limits.messageBytes + 1))
  await desk.getByText('Not sent.').waitFor()
  await desk
    .locator('input[type=file]')
    .setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a') })
  await desk.getByRole('button', { name: 'Remove a.txt' }).waitFor()
  await desk.route('**/attachments', (route) => route.fulfill({ status: 500, body: '{}' }))
  await desk
    .locator('input[type=file]')
    .setInputFiles({ name: 'b.txt', mimeType: 'text/plain', buffer: Buffer.from('b') })
  await desk.getByText('b.txt could not be attached.').waitFor()
  expect(await smallTargets(desk)).toEqual([])
  await answer(desk, 'See a.txt')
  await desk.locator('.attachments a').waitFor()
  const conversationId = desk.url().split('/').at(-1) ?? ''
  const { messages } = await server.owner.call('message.list', { conversationId })
  for (const emoji of ['👍', '🎉']) {
    await server.owner.call('message.react', { messageId: messages[0]?.id ?? '', emoji })
  }
  await desk.getByRole('button', { name: '🎉' }).waitFor()
  expect(await smallTargets(desk)).toEqual([])
  await desk.getByRole('button', { name: 'Assign' }).click()
  await desk.getByRole('menuitem').first().waitFor()
  expect(await smallTargets(desk)).toEqual([])
  await desk.keyboard.press('Escape')

  for (const [path, sign] of [
    ['/details', '.details-pane .facts'],
    ['', '.bubble'],
    ['/../', '.row'],
  ] as const) {
    await desk.goto(desk.url().replace(/\/details$/, '') + path)
    await desk.locator(sign).first().waitFor()
    expect(await smallTargets(desk)).toEqual([])
  }
  await desk.getByRole('button', { name: 'Menu of Olga' }).click()
  await desk.getByRole('menuitem').first().waitFor()
  expect(await smallTargets(desk)).toEqual([])
  for (const page of ['inboxes', 'people']) {
    await desk.goto(`${server.url}/desk/settings/${page}`)
    await desk.locator('.card').nth(1).waitFor()
    expect(await smallTargets(desk)).toEqual([])
  }
})

/** The desk with a conversation open, in which a contact has said something. */
async function inConversation(text = 'Hello', options?: BrowserContextOptions): Promise<Page> {
  const contact = await server.person('contact')
  const { conversation } = await contact.call('conversation.create', {
    kind: 'support',
    inboxId: server.inboxId,
  })
  await contact.send(conversation.id, text)
  const desk = await openDesk(browser, server.url, options)
  await desk.goto(`${server.url}/desk/open/${conversation.id}`)
  await desk.getByRole('log').getByText(text).waitFor()
  return desk
}

async function boxOf(place: Locator) {
  const box = await place.boundingBox()
  if (!box) throw new Error('It is not on the page')
  return box
}
