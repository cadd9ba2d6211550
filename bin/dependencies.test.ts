import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const manifests = ['package.json', ...globSync('packages/*/package.json'), 'bench/package.json']
const used = new Set(
  manifests.flatMap((path) => {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(path, 'utf8'))
    return Object.keys({ ...dependencies, ...devDependencies }).filter((name) => !name.startsWith('@parley/'))
  }),
)
const rows = readFileSync('docs/dependencies.md', 'utf8').matchAll(/^\| (`.+?`) \|/gm)
const explained = [...rows].flatMap(([, cell = '']) =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
)

test('every dependency has its sentence in docs/dependencies.md, and every sentence its dependency', () => {
  expect(explained.sort()).toEqual([...used].sort())
})
