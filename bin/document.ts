import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { openApi } from '../packages/protocol/src/openapi.ts'
import { reference } from '../packages/protocol/src/reference.ts'
import { settings } from '../packages/server/src/config.ts'

const { version } = JSON.parse(read('package.json'))

/** Documents that follow from the code, and how. */
const documents: Record<string, () => string> = {
  'docs/api/openapi.json': () => `${JSON.stringify(openApi(version), null, 2)}\n`,
  'docs/api/events.md': reference,
  'docs/configuration.md': withSettings,
}

const checkOnly = process.argv.includes('--check')
for (const [path, make] of Object.entries(documents)) {
  const made = make()
  if (read(path) === made) continue
  if (checkOnly) {
    console.error(`${path} does not follow from the code; run bin/document`)
    process.exitCode = 1
  } else {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, made)
    console.log(`wrote ${path}`)
  }
}

/** The page with the table between its marks made anew; what stands around them is written by hand. */
function withSettings(): string {
  const rows = Object.entries(settings).map(
    ([name, { is, or, should }]) => `| \`${name}\` | ${or === null ? '' : `\`${or}\``} | ${is} | ${should} |`,
  )
  const table = ['| variable | default | meaning | should |', '|---|---|---|---|', ...rows].join('\n')
  const page = read('docs/configuration.md')
  const marked = /(<!-- settings -->\n).*(\n<!-- end of settings -->)/s
  if (!marked.test(page)) throw new Error('docs/configuration.md has lost the marks around its table')
  return page.replace(marked, (_, before: string, after: string) => `${before}\n${table}\n${after}`)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
