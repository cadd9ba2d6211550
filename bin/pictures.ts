import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { startServer } from '../packages/server/src/app.ts'
import { readConfig } from '../packages/server/src/config.ts'
import { makeLog } from '../packages/server/src/log.ts'
import { testChromium } from './real-parts.ts'

const images = new URL('../docs/images/', import.meta.url).pathname
const desktop = { width: 1360, height: 850 }
const phone = { width: 390, height: 844 }

const dataDir = await mkdtemp(join(tmpdir(), 'parley-pictures-'))
const config = readConfig({ PORT: '0', DATA_DIR: dataDir, LOG_LEVEL: 'warn' }, ['--demo'])
const server = await startServer(config, makeLog('warn'))
const browser = await chromium.launch({
  ...(testChromium && { executablePath: testChromium }),
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
})
try {
  await mkdir(images, { recursive: true })
  await takeAll(browser, server.url)
} finally {
  await browser.close()
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}

/** A visitor asks, an agent answers; then each page is taken as it stands. */
async function takeAll(browser: Browser, url: string): Promise<void> {
  const site = await open(browser, url)
  await take(site, 'demo')
  await site.getByRole('button', { name: 'Open chat' }).click()
  await say(site, 'Hello! I ordered on Monday and would like to change the delivery address.')

  const desk = await open(browser, `${url}/desk`)
  await desk.getByLabel('E-mail').fill(server.demo?.email ?? '')
  await desk.getByLabel('Password').fill(server.demo?.password ?? '')
  await desk.keyboard.press('Enter')
  await desk.getByText('change the delivery address').first().click()
  await desk.getByRole('button', { name: 'Take' }).click()
  await answer(desk, 'Good morning! That is still possible. What should the new address be?')
  await site.getByText('What should the new address be?').waitFor()
  await say(site, 'Mill Lane 4, second floor, please.')
  await desk.getByRole('log', { name: 'Messages' }).getByText('Mill Lane 4').waitFor()
  await desk.getByRole('button', { name: 'Note', exact: true }).click()
  await desk
    .getByRole('textbox', { name: 'Write a note' })
    .fill('Changed in the shop system; the label is printed at noon.')
  await desk.keyboard.press('Enter')
  await desk.getByRole('button', { name: 'Reply', exact: true }).click()
  await answer(desk, 'Done. It will arrive there on Thursday.')
  await site.getByText('It will arrive there on Thursday.').waitFor()
  await take(site, 'widget')
  await take(desk, 'desk')

  const dark = await open(browser, desk.url(), {
    colorScheme: 'dark',
    storage: await desk.context().storageState(),
  })
  await dark.getByRole('log', { name: 'Messages' }).getByText('Mill Lane 4').waitFor()
  await take(dark, 'desk-dark')

  const small = await open(browser, url, { viewport: phone, storage: await site.context().storageState() })
  await small.getByRole('button', { name: /Open chat/ }).click()
  await small.getByText('It will arrive there on Thursday.').waitFor()
  await take(small, 'phone')
}

async function open(
  browser: Browser,
  url: string,
  { viewport = desktop, colorScheme = 'light', storage }: OpenOptions = {},
): Promise<Page> {
  const context = await browser.newContext({
    viewport,
    colorScheme,
    ...(storage && { storageState: storage }),
  })
  const page = await context.newPage()
  await page.goto(url)
  return page
}

type OpenOptions = {
  viewport?: typeof phone
  colorScheme?: 'light' | 'dark'
  storage?: Awaited<ReturnType<import('playwright-core').BrowserContext['storageState']>>
}

async function say(site: Page, text: string): Promise<void> {
  await site.getByRole('textbox', { name: 'Message' }).fill(text)
  await site.keyboard.press('Enter')
}

async function answer(desk: Page, text: string): Promise<void> {
  await desk.getByRole('textbox', { name: 'Write a reply' }).fill(text)
  await desk.keyboard.press('Enter')
}

async function take(page: Page, name: string): Promise<void> {
  // Presence, receipts and fonts settle in a moment; a picture of that moment would be taken again for nothing.
  await page.waitForTimeout(800)
  await page.screenshot({ path: join(images, `${name}.png`) })
}
