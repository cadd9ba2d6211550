import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Which folders each folder may import from, beside itself and packages from outside. Tests may import anything. */
const arrows: Record<string, string[]> = {
  'packages/protocol/src': [],
  'packages/client/src': ['packages/protocol/src'],
  'packages/widget/src': ['packages/client/src', 'packages/protocol/src'],
  'packages/desk/src': ['packages/client/src', 'packages/protocol/src'],
  'packages/server/src': ['packages/protocol/src'],
  bench: ['packages/client/src', 'packages/protocol/src', 'packages/server/src'],
}

/** Inside the server: what stands lower knows nothing of what stands higher. */
const floors = [
  ['packages/server/src/store'],
  ['packages/server/src/chat'],
  ['packages/server/src/realtime', 'packages/server/src/http', 'packages/server/src/dialects'],
  ['packages/server/src/app.ts', 'packages/server/src/main.ts'],
]

/** The services whose old clients we serve have a folder each under `dialects`. Nothing below that knows their names. */
const dialects = /servicehub|careforall|priyo|live-?support|tutor-?go/i
const dialectFree = [
  'packages/protocol',
  'packages/client',
  'packages/server/migrations',
  ...floors.slice(0, 2).flat(),
]

const faults = sourceFiles().flatMap((file) => {
  const text = readFileSync(file, 'utf8')
  return [...strayImports(file, text), ...strayNames(file, text)]
})
for (const fault of faults) console.error(fault)
process.exit(faults.length > 0 ? 1 : 0)

function sourceFiles(): string[] {
  return globSync('{packages,bench}/**/*.{ts,tsx,sql,css}', {
    exclude: ['**/node_modules', '**/dist', '**/test', '**/*.test.ts', '**/*.test.tsx'],
  })
}

function strayImports(file: string, text: string): string[] {
  return importsOf(file, text)
    .filter((target) => !mayImport(file, target))
    .map((target) => `${file} must not import ${target}`)
}

/** Paths, from the top of the checkout, of what a file imports from this checkout. */
function importsOf(file: string, text: string): string[] {
  const imports = text.matchAll(/\b(?:from|import)\s*\(?\s*'([^']+)'/g)
  return [...imports].flatMap(([, specifier = '']) => {
    if (specifier.startsWith('.')) return [join(dirname(file), specifier)]
    const [, name] = /^@parley\/(\w+)/.exec(specifier) ?? []
    return name ? [`packages/${name}/src`] : []
  })
}

function mayImport(file: string, target: string): boolean {
  const home = Object.keys(arrows).find((folder) => isIn(file, folder))
  if (home && !isIn(target, home) && !arrows[home]?.some((folder) => isIn(target, folder))) {
    return !Object.keys(arrows).some((folder) => isIn(target, folder))
  }
  return floorOf(file) < 0 || floorOf(target) <= floorOf(file)
}

/** Files of no floor (configuration, the clock) may be imported by all; what they import is not restricted. */
function floorOf(path: string): number {
  return floors.findIndex((folders) => folders.some((folder) => isIn(path, folder)))
}

function isIn(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`)
}

function strayNames(file: string, text: string): string[] {
  if (!dialectFree.some((folder) => isIn(file, folder))) return []
  const [name] = dialects.exec(text) ?? []
  return name ? [`${file} names ${name}, which belongs under dialects`] : []
}
