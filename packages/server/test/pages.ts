import { once } from 'node:events'
import { createServer } from 'node:net'
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core'
import { password } from './child.ts'

/** What people do in a real browser: a visitor on a page with the widget, somebody of the team at the desk. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.TEST_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
}

/** The owner, signed in at the desk of a server that `startChild` began. */
export async function openDesk(
  browser: Browser,
  url: string,
  options?: BrowserContextOptions,
): Promise<Page> {
  const agent = await browser.newContext(options)
  const desk = await agent.newPage()
  await desk.goto(`${url}/desk`)
  await desk.getByLabel(/e-?mail/i).fill('olga@example.com')
  await desk.getByLabel(/password/i).fill(password)
  await desk.keyboard.press('Enter')
  await desk.getByRole('navigation', { name: 'Views' }).waitFor()
  return desk
}

/** A page with the widget, its chat open. */
export async function openSite(visitor: BrowserContext, url: string): Promise<Page> {
  const site = await visitor.newPage()
  await site.goto(url)
  await openChat(site)
  return site
}

/** On a wide screen the panel comes back by itself after a reload. */
export async function openChat(site: Page): Promise<void> {
  const closed = site.getByRole('button', { name: /^Open chat/ })
  const composer = site.getByRole('textbox', { name: 'Message' })
  await closed.or(composer).first().waitFor()
  if (!(await composer.isVisible())) await closed.click()
  await composer.waitFor()
}

export async function say(site: Page, text: string): Promise<void> {
  await site.getByRole('textbox', { name: 'Message' }).fill(text)
  await site.keyboard.press('Enter')
}

export async function answer(desk: Page, text: string): Promise<void> {
  await desk.getByRole('textbox', { name: 'Write a reply' }).fill(text)
  await desk.keyboard.press('Enter')
}

export async function freePort(): Promise<string> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (typeof address !== 'object' || !address) throw new Error('No port was free')
  return String(address.port)
}
