import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createConnection } from 'node:net'
import { promisify } from 'node:util'

/** What tests and checks use from the machine, beside this checkout. Nothing here is needed to run Parley. */
export const realParts = {
  postgres: {
    title: 'PostgreSQL',
    find: findPostgres,
    without: 'The store and server suites then run on the embedded database alone.',
    remedy: 'Start one of version 15 or newer and name it in TEST_DATABASE_URL.',
  },
  redis: {
    title: 'Redis',
    find: findRedis,
    without: 'Suites of many nodes cannot run.',
    remedy: 'Start Redis 7 or Valkey and name it in TEST_REDIS_URL.',
  },
  chromium: {
    title: 'Chromium',
    find: findChromium,
    without: 'The suites in a real browser cannot run.',
    remedy: 'Install it (Debian: apt-get install chromium), or name the program in TEST_CHROMIUM.',
  },
} satisfies Record<string, RealPart>

export type PartName = keyof typeof realParts
type RealPart = { title: string; find(): Promise<Found>; without: string; remedy: string }
type Found = { ok: true; what: string } | { ok: false; why: string }

export const testDatabaseUrl = process.env.TEST_DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres'
export const testRedisUrl = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379'

const browsers = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]
export const testChromium = process.env.TEST_CHROMIUM ?? browsers.find((path) => existsSync(path))

async function findPostgres(): Promise<Found> {
  const { host } = new URL(testDatabaseUrl)
  const fromServer = createRequire(new URL('../packages/server/package.json', import.meta.url))
  const { Client }: typeof import('pg') = fromServer('pg')
  const client = new Client({ connectionString: testDatabaseUrl, connectionTimeoutMillis: 3_000 })
  try {
    await client.connect()
    const { rows } = await client.query<{ server_version: string }>('show server_version')
    const version = rows[0]?.server_version ?? ''
    if (Number.parseInt(version, 10) >= 15) return { ok: true, what: `${version} at ${host}` }
    return { ok: false, why: `${host} has version ${version}, which is older than 15.` }
  } catch (error) {
    return { ok: false, why: `${host} does not answer (${reason(error)}).` }
  } finally {
    await client.end().catch(() => {})
  }
}

async function findRedis(): Promise<Found> {
  const { hostname, port, host } = new URL(testRedisUrl)
  const { promise, resolve } = Promise.withResolvers<Found>()
  const socket = createConnection({ host: hostname, port: Number(port || 6379), timeout: 3_000 })
  socket.once('connect', () => socket.write('PING\r\n'))
  socket.once('data', (answer) =>
    resolve(
      /^(\+PONG|-NOAUTH)/.test(answer.toString())
        ? { ok: true, what: `answers at ${host}` }
        : { ok: false, why: `what listens at ${host} does not speak Redis.` },
    ),
  )
  socket.once('timeout', () => resolve({ ok: false, why: `${host} does not answer in time.` }))
  socket.once('error', (error) => resolve({ ok: false, why: `${host} does not answer (${reason(error)}).` }))
  return promise.finally(() => socket.destroy())
}

async function findChromium(): Promise<Found> {
  if (!testChromium) return { ok: false, why: 'no browser is installed where it usually is.' }
  try {
    const { stdout } = await promisify(execFile)(testChromium, ['--version'], { timeout: 20_000 })
    return { ok: true, what: stdout.trim() }
  } catch (error) {
    return { ok: false, why: `${testChromium} does not start (${reason(error)}).` }
  }
}

function reason(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reason).join(', ')
  return error instanceof Error ? error.message : String(error)
}
