import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const top = new URL('../../../', import.meta.url).pathname
const spec = readFileSync(`${top}packages/protocol/SPEC.md`, 'utf8')
const rules = [...spec.matchAll(/^- \*\*([A-Z]\d+)\*\* /gm)].map(([, id = '']) => id)
const letters = [...new Set(rules.map((id) => id.charAt(0)))].join('')
const sources = globSync('packages/*/{src,test}/**/*.{ts,tsx}', { cwd: top, exclude: ['**/node_modules'] })

test('no rule has the number of another, and each letter counts from 1', () => {
  for (const letter of letters) {
    const numbers = rules.filter((id) => id.startsWith(letter)).map((id) => Number(id.slice(1)))
    expect(numbers, letter).toEqual(numbers.map((_, index) => index + 1))
  }
})

test('rules and sections that the code quotes exist', () => {
  for (const file of sources) {
    const text = readFileSync(top + file, 'utf8')
    const quoted = [
      ...text.matchAll(/(?:test|it|describe)\w*\(\s*['"`]\[([A-Z]\d+)\]/g),
      ...text.matchAll(/SPEC ([A-Z]\d+)/g),
    ]
    for (const [, id = ''] of quoted) {
      if (letters.includes(id.charAt(0))) expect(rules, `${file} quotes ${id}`).toContain(id)
    }
    for (const [, section] of text.matchAll(/SPEC §(\d+)/g)) expect(spec, file).toContain(`\n## §${section} `)
  }
})
