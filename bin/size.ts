import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build, type Rolldown } from 'vite'
import { buildBrowserParts } from './build.ts'

/** Gzip bytes (design §9). `widget` is everything that a page has loaded once it is open, the loader included. */
const budgets = { loader: 5 * 1024, widget: 40 * 1024, client: 12 * 1024 }
const dist = 'packages/widget/dist'

buildBrowserParts()
const sizes = {
  loader: gzip(readFileSync(join(dist, 'loader.js'))),
  widget: widgetFiles().reduce((sum, file) => sum + gzip(readFileSync(join(dist, file))), 0),
  client: await clientSize(),
}
console.log(JSON.stringify(sizes))
if (process.argv.includes('--check')) refuseExcess()

/** What the manifest names, if the build wrote one; else everything it put out. */
function widgetFiles(): string[] {
  const manifest = join(dist, '.vite/manifest.json')
  if (!existsSync(manifest)) {
    return globSync('**/*.{js,css,html,svg,png,woff2}', { cwd: dist })
  }
  type Chunk = { file: string; css?: string[]; assets?: string[] }
  const chunks: Chunk[] = Object.values(JSON.parse(readFileSync(manifest, 'utf8')))
  const named = chunks.flatMap(({ file, css = [], assets = [] }) => [file, ...css, ...assets])
  return [...new Set(['loader.js', ...named])]
}

/** The client alone, as a bundler would put it into somebody's page, with all that it exports. */
async function clientSize(): Promise<number> {
  const result = await build({
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['source', 'module', 'browser', 'production'] },
    build: {
      write: false,
      target: 'es2022',
      modulePreload: { polyfill: false },
      rolldownOptions: { input: 'packages/client/src/index.ts', preserveEntrySignatures: 'strict' },
    },
  })
  const outputs = (Array.isArray(result) ? result : [result]) as Rolldown.RolldownOutput[]
  const files = outputs.flatMap(({ output }) => output)
  return files.reduce((sum, file) => sum + gzip(file.type === 'chunk' ? file.code : file.source), 0)
}

function gzip(content: string | Uint8Array): number {
  return gzipSync(content, { level: 9 }).length
}

function refuseExcess(): void {
  for (const name of ['loader', 'widget', 'client'] as const) {
    if (sizes[name] <= budgets[name]) continue
    console.error(`${name} is ${sizes[name]} bytes, ${sizes[name] - budgets[name]} more than its budget`)
    process.exitCode = 1
  }
}
