import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const top = new URL('../../../', import.meta.url).pathname
const spec = readFileSync(`${top}packages/protocol/SPEC.md`, 'utf8')
const rules = [...spec.matchAll(/^- \*\*([A-Z]\d+)\*\* /gm)].map(([, id = '']) => id)
const letters = new Set(rules.map((id) => id.charAt(0)))
const sources = globSync('packages/*/{src,test}/**/*.{ts,tsx}', { cwd: top, exclude: ['**/node_modules'] })

/** What the titles of tests quote, `[L3] [G1] …`, by file. */
const quotes = sources
  .filter((file) => /\.test\.tsx?$/.test(file))
  .map((file) => {
    const heads = readFileSync(top + file, 'utf8').matchAll(/['"`]((?:\[[A-Z]\d+\] )+)/g)
    return { file, ids: [...heads].flatMap(([, head = '']) => head.match(/[A-Z]\d+/g) ?? []) }
  })

/** Rules that the client has for itself, in the heads of its modules. */
const ofClient = globSync('packages/client/src/**/*.ts', { cwd: top }).flatMap((file) =>
  [...readFileSync(top + file, 'utf8').matchAll(/^ \* - ([A-Z]\d+) /gm)].map(([, id = '']) => id),
)

test('no rule has the number of another, and each letter counts from 1', () => {
  expect(rules.filter((id, place) => rules.indexOf(id) !== place)).toEqual([])
  // Promises are numbered with others that are not about one server.
  for (const letter of letters) {
    if (letter === 'G') continue
    const numbers = rules.filter((id) => id.startsWith(letter)).map((id) => Number(id.slice(1)))
    expect(numbers, letter).toEqual(numbers.map((_, index) => index + 1))
  }
})

test('every rule and every promise is quoted by the title of a test', () => {
  const quoted = new Set(quotes.flatMap(({ ids }) => ids))
  expect(rules.filter((id) => !quoted.has(id))).toEqual([])
})

test('what the title of a test quotes is a rule, a promise, or for tests of the client one of its own', () => {
  for (const { file, ids } of quotes) {
    const known = new Set(file.startsWith('packages/client/') ? [...rules, ...ofClient] : rules)
    expect(
      ids.filter((id) => !known.has(id)),
      file,
    ).toEqual([])
  }
})

test('no rule of the client has a letter of the protocol', () => {
  expect(ofClient.filter((id) => letters.has(id.charAt(0)))).toEqual([])
})

test('rules and sections that the code names exist', () => {
  for (const file of sources) {
    const text = readFileSync(top + file, 'utf8')
    for (const [, id = ''] of text.matchAll(/(?:SPEC|rule|promise) ([A-Z]\d+)\b/g)) {
      // How much is taken on at once is promised only where there are several nodes.
      expect([...rules, 'G9'], `${file} names ${id}`).toContain(id)
    }
    for (const [, section] of text.matchAll(/SPEC §(\d+)/g)) expect(spec, file).toContain(`\n## §${section} `)
  }
})
