import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const top = join(import.meta.dirname, '..')
export const browserParts = ['packages/widget', 'packages/desk'] as const
const shared = ['packages/client/src', 'packages/protocol/src', 'package-lock.json']
const own = ['src', 'public', 'index.html', 'vite.config.ts', 'package.json']

/** Builds the browser parts whose `dist` is missing or older than what it is made of. Throws when one cannot be built. */
export function buildBrowserParts(): void {
  for (const part of browserParts) {
    const sources = [...own.map((name) => join(part, name)), ...shared]
    if (newest(join(part, 'dist')) >= Math.max(...sources.map(newest))) continue
    console.error(`Building ${part} …`)
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--run', 'build'], {
      cwd: join(top, part),
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`${part} cannot be built:\n${stdout}${stderr}`)
  }
}

/** When the newest file at or below a path was written; 0 when there is none. Folders count: deleting touches them. */
function newest(path: string): number {
  const full = join(top, path)
  if (!existsSync(full)) return 0
  const written = statSync(full).mtimeMs
  if (!statSync(full).isDirectory()) return written
  return Math.max(written, ...readdirSync(full).map((name) => newest(join(path, name))))
}

/** The name by which Vitest calls this before the suites in a browser. */
export const setup = buildBrowserParts

if (import.meta.main) {
  try {
    buildBrowserParts()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exit(1)
  }
}
