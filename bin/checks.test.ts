import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

test('arrows: whoever imports upwards, across or a dialect’s name is told so', () => {
  const checkout = makeCheckout({
    'packages/server/src/chat/verbs.ts': "import { app } from '../http/app.ts'\n",
    'packages/client/src/index.ts': "export * from '@parley/server'\n",
    'packages/protocol/src/index.ts': 'export const isPriyo = true\n',
    'packages/server/src/http/good.ts': "import '../chat/verbs.ts'\nimport '@parley/protocol'\n",
    'packages/server/src/config.ts': "import type { Store } from './store/store.ts'\n",
  })
  expect(run('arrows.ts', checkout).lines).toEqual([
    'packages/client/src/index.ts must not import packages/server/src',
    'packages/protocol/src/index.ts names Priyo, which belongs under dialects',
    'packages/server/src/chat/verbs.ts must not import packages/server/src/http/app.ts',
  ])
})

test('arrows: a tree in order passes', () => {
  const checkout = makeCheckout({ 'bench/main.ts': "import '@parley/client'\n" })
  expect(run('arrows.ts', checkout)).toEqual({ status: 0, lines: [] })
})

test('traces: paths of a machine, registry hosts and conflicts are found, with file and line', () => {
  // Put together here, or they would be found in this file.
  const path = ['', 'home', 'ana', 'parley'].join('/')
  const host = ['registry', 'example', 'com'].join('.')
  const conflict = `${'<'.repeat(7)} ours`
  const checkout = makeCheckout({
    'a.md': `Fine, and https://example.com${path} too.\nSee ${path}/docs\n`,
    'b.json': `{ "from": "https://${host}/x" }`,
    'c.ts': `let x = 1\n${conflict}\n`,
  })
  execFileSync('git', ['init', '--quiet'], { cwd: checkout })
  expect(run('traces.ts', checkout).lines).toEqual([
    `a.md:2 has a path of one machine: ${path.replace('parley', '')}`,
    `b.json:1 has the host of a package registry: ${host}`,
    `c.ts:2 has a conflict that was not resolved: ${'<'.repeat(7)}`,
  ])
})

function makeCheckout(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'parley-checkout-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

function run(script: string, cwd: string): { status: number | null; lines: string[] } {
  const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, script)], {
    cwd,
    encoding: 'utf8',
  })
  return { status, lines: stderr.split('\n').filter(Boolean).sort() }
}
