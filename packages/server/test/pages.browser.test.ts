import { expect, test } from 'vitest'
import { startChild } from './child.ts'
import { launchBrowser } from './pages.ts'

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
