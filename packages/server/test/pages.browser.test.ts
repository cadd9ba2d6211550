import { expect, test } from 'vitest'
import { startServer } from '../src/testing.ts'
import { password, startChild } from './child.ts'
import { launchBrowser, openDesk } from './pages.ts'

test('no page does what its own content security policy forbids, and none asks for https', async () => {
  await using server = await startChild()
  await using browser = await launchBrowser()
  const page = await browser.newPage()
  const complaints: string[] = []
  page.on('console', (line) => line.type() === 'error' && complaints.push(`${page.url()} ${line.text()}`))
  page.on('pageerror', (error) => complaints.push(`${page.url()} ${error.message}`))
  for (const [path, sign] of [
    ['/', 'button[aria-label="Open chat"]'],
    ['/desk', 'input[type=password]'],
    ['/docs', '.opblock-tag-section'],
  ] as const) {
    const answer = await page.goto(server.url + path)
    await page.locator(sign).first().waitFor()
    expect(answer?.headers()['content-security-policy']).not.toContain('upgrade-insecure-requests')
  }
  expect(complaints).toEqual([])
})

test('a desk without an owner says how to begin, and the link of the first owner says when it was used', async () => {
  await using server = await startServer()
  await using browser = await launchBrowser()
  const page = await browser.newPage()
  await page.goto(`${server.url}/desk`)
  await page.getByText('Open the link that the server printed when it was started.').waitFor()
  expect(await page.getByLabel('Password').count()).toBe(0)

  const setupUrl = server.running.setupUrl ?? ''
  await page.goto('about:blank')
  await page.goto(setupUrl)
  for (const [label, text] of [
    ['Workspace', 'Ours'],
    ['Your name', 'Olga'],
    ['E-mail', 'olga@example.com'],
    ['Password', password],
  ] as const) {
    await page.getByLabel(label).fill(text)
  }
  await page.keyboard.press('Enter')
  await page.getByRole('navigation', { name: 'Views' }).waitFor()

  const second = await browser.newPage()
  await second.goto(setupUrl)
  await second.getByRole('heading', { name: 'This link has been used' }).waitFor()
  expect(await second.getByLabel('Workspace').count()).toBe(0)
  await second.getByRole('button', { name: 'Sign in' }).click()
  await second.getByLabel('Password').waitFor()
})

test('the embed code is found again after the first steps, and copied', async () => {
  await using server = await startChild()
  await using browser = await launchBrowser()
  const permissions = ['clipboard-read', 'clipboard-write']
  const desk = await openDesk(browser, server.url, { permissions })
  await desk.getByRole('link', { name: 'Inboxes and embed code' }).click()
  await desk.getByRole('heading', { name: 'Inboxes', exact: true }).waitFor()
  await desk.goto(`${server.url}/desk/closed`)
  await desk.getByRole('button', { name: 'Menu of Olga' }).click()
  await desk.getByRole('menuitem', { name: 'Inboxes and embed code' }).click()
  await desk.getByRole('button', { name: 'Copy: Embed code of Support' }).click()
  await desk.getByText('Copied').waitFor()
  const { inboxes } = await server.owner.call('inbox.list', {})
  expect(await desk.evaluate('navigator.clipboard.readText()')).toBe(
    `<script src="${server.url}/widget/loader.js" data-inbox="${inboxes[0]?.widgetKey}" async></script>`,
  )
})
