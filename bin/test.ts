import { globSync } from 'node:fs'
import { join } from 'node:path'
import { parseCLI, startVitest, type Vitest } from 'vitest/node'
import { type PartName, realParts, testChromium, testDatabaseUrl, testRedisUrl } from './real-parts.ts'

/** Which suites need more than this checkout. */
const needs: Record<string, PartName> = { 'server-postgres': 'postgres', browser: 'chromium' }

const inCi = process.env.CI === 'true'
const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)])
const whole = process.argv.length === 2

process.env.TEST_DATABASE_URL = testDatabaseUrl
process.env.TEST_REDIS_URL = testRedisUrl
if (testChromium) process.env.TEST_CHROMIUM = testChromium

const missing = await lookForRealParts()
const counts = { passed: 0, failed: inCi ? missing.length : 0, skipped: 0 }
const skipped = missing.map(({ project }) => `!${project}`)
const vitest = await startVitest(filter, {
  ...options,
  watch: false,
  project: [...(options.project ?? []), ...skipped].flat(),
})
count(vitest)
if (whole) findSilence(vitest)
sayMissing()
if (process.exitCode && counts.failed === 0) counts.failed = 1
console.log(
  `${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`,
)
process.exit(counts.failed > 0 ? 1 : 0)

async function lookForRealParts(): Promise<{ project: string; sentence: string }[]> {
  const absent = []
  for (const [project, part] of Object.entries(needs)) {
    const { title, find, without, remedy } = realParts[part]
    const found = await find()
    if (!found.ok) absent.push({ project, sentence: `${title}: ${found.why} ${without} ${remedy}` })
  }
  return absent
}

/** At the end, where it is read. */
function sayMissing(): void {
  for (const { project, sentence } of missing) {
    console.log(`\n${inCi ? 'FAILED' : 'NOT RUN'}: suites "${project}". ${sentence}`)
  }
}

function count({ state }: Vitest): void {
  for (const module of state.getTestModules()) {
    for (const test of module.children.allTests()) {
      const result = test.result().state
      if (result === 'passed') counts.passed++
      else if (result === 'failed') counts.failed++
      else counts.skipped++
    }
    // What breaks outside a test: a file that cannot be loaded, a hook.
    const suites = [module, ...module.children.allSuites()]
    counts.failed += suites.filter((suite) => suite.errors().length > 0).length
  }
  counts.failed += state.getUnhandledErrors().length
}

/** Suites without a test, and tests that belong to no suite, fail a whole run: nothing is left out in silence. */
function findSilence({ state, projects }: Vitest): void {
  const ran = state.getTestModules()
  for (const { name } of projects) {
    if (ran.some((module) => module.project.name === name)) continue
    console.log(`\nFAILED: suites "${name}" have no test.`)
    counts.failed++
  }
  const known = new Set(ran.map((module) => module.moduleId))
  const files = globSync('{bin,bench,test,packages}/**/*.test.{ts,tsx}', { exclude: ['**/node_modules'] })
  for (const file of files) {
    if (known.has(join(process.cwd(), file))) continue
    if (missing.some(({ project }) => project === 'browser') && file.endsWith('.browser.test.ts')) continue
    console.log(`\nFAILED: ${file} belongs to no suite of vitest.config.ts, so it was not run.`)
    counts.failed++
  }
}
