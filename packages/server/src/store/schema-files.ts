import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { migrate } from './migrate.ts'

const exec = promisify(execFile)
const here = new URL('.', import.meta.url)
const files = { tables: new URL('tables.ts', here), schema: new URL('../../schema.sql', here) }

/**
 * Writes `tables.ts` and `schema.sql` from the migrations, or with `check` says whether they are in step (exit code
 * 1 when not). Works in a database of its own on the PostgreSQL at TEST_DATABASE_URL, and needs its `pg_dump`.
 */
export async function run({ check }: { check: boolean }): Promise<number> {
  const made = await fromMigrations()
  let stale = 0
  for (const name of ['tables', 'schema'] as const) {
    const now = await readFile(files[name], 'utf8').catch(() => '')
    if (now === made[name]) continue
    if (check) console.error(`${files[name].pathname} does not follow from the migrations; run bin/schema`)
    else await writeFile(files[name], made[name])
    stale++
  }
  return check && stale > 0 ? 1 : 0
}

async function fromMigrations(): Promise<{ tables: string; schema: string }> {
  const server = process.env.TEST_DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres'
  const name = `parley_schema_${process.pid}`
  const url = Object.assign(new URL(server), { pathname: `/${name}` }).href
  const admin = new pg.Client({ connectionString: server })
  await admin.connect()
  await admin.query(`create database ${name}`)
  try {
    const pool = new pg.Pool({ connectionString: url })
    await migrate(pool)
    await pool.end()
    return { tables: await tables(url), schema: await schema(url) }
  } finally {
    await admin.query(`drop database ${name} with (force)`)
    await admin.end()
  }
}

async function tables(url: string): Promise<string> {
  const bin = join(
    dirname(createRequire(import.meta.url).resolve('kysely-codegen/package.json')),
    'dist/cli/bin.js',
  )
  const mapping = JSON.stringify({ timestamptz: 'string', int8: 'number', xid8: 'string' })
  const overrides = await readFile(new URL('columns.json', here), 'utf8')
  const { stdout } = await exec(process.execPath, [
    bin,
    '--print',
    '--dialect',
    'postgres',
    '--url',
    url,
    '--date-parser',
    'string',
    '--type-mapping',
    mapping,
    '--overrides',
    overrides,
  ])
  return stdout.slice(stdout.indexOf('/**'))
}

/** Without comments and session settings, which differ between versions of `pg_dump` and say nothing of the schema. */
async function schema(url: string): Promise<string> {
  const { stdout } = await exec('pg_dump', ['--schema-only', '--no-owner', '--no-privileges', url])
  const lines = stdout.split('\n').filter((line) => !/^(--|SET |SELECT pg_catalog\.set_config|\\)/.test(line))
  return `${lines
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()}\n`
}
