import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { type PartName, realParts } from './real-parts.ts'

type Step = { name: string; command: string[]; needs?: PartName }

const workspaces = [...readdirSync('packages').map((name) => `packages/${name}`), 'bench', 'bin']

const steps: Step[] = [
  { name: 'Format and lint', command: ['biome', 'check', '.'] },
  ...workspaces.map((folder) => ({ name: `Types of ${folder}`, command: ['tsc', '--project', folder] })),
  { name: 'Who may know whom', command: ['node', 'bin/arrows.ts'] },
  { name: 'Nothing of one machine', command: ['node', 'bin/traces.ts'] },
  { name: 'Documents in step with the code', command: ['bin/document', '--check'] },
  { name: 'Schema in step with the migrations', command: ['bin/schema', '--check'], needs: 'postgres' },
  { name: 'Size budgets', command: ['bin/size', '--check'] },
  { name: 'The bench runs', command: ['bin/bench', '--quick'] },
]

const failed: string[] = []
const skipped: string[] = []
for (const step of steps) {
  const reason = await whatIsMissing(step)
  if (reason && process.env.CI !== 'true') {
    skipped.push(step.name)
    console.log(`- ${step.name}: NOT RUN. ${reason}`)
    continue
  }
  const started = performance.now()
  const { ok, output } = reason ? { ok: false, output: reason } : await run(step.command)
  console.log(`${ok ? '✓' : '✗'} ${step.name} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
  if (ok) continue
  failed.push(step.name)
  console.log(`  $ ${step.command.join(' ')}\n${output.trimEnd().replaceAll(/^/gm, '  ')}\n`)
}
if (skipped.length > 0) console.log(`\nNot run: ${skipped.join(', ')}.`)
console.log(failed.length > 0 ? `\nFailed: ${failed.join(', ')}.` : '\nEverything that was checked holds.')
process.exit(failed.length > 0 ? 1 : 0)

async function whatIsMissing({ needs }: Step): Promise<string | undefined> {
  if (!needs) return undefined
  const found = await realParts[needs].find()
  return found.ok ? undefined : `${realParts[needs].title}: ${found.why} ${realParts[needs].remedy}`
}

function run([program = '', ...args]: string[]): Promise<{ ok: boolean; output: string }> {
  const { promise, resolve } = Promise.withResolvers<{ ok: boolean; output: string }>()
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => (output += text))
  child.on('error', (error) => resolve({ ok: false, output: error.message }))
  child.on('close', (code) => resolve({ ok: code === 0, output: output || `exit code ${code}` }))
  return promise
}
