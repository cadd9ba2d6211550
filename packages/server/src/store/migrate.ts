import { readdir, readFile } from 'node:fs/promises'
import type { Pool, PoolClient } from 'pg'

const folder = new URL('../../migrations/', import.meta.url)
/** Any number that nobody else locks on; many nodes may start at once on one PostgreSQL. */
const migrationLock = 7_021_996

/**
 * Brings the store to the newest version: each file of `migrations/` once, in order of name, each in a transaction
 * of its own together with the note that it ran. Killed at any statement, it can simply run again (promise G17).
 */
export async function migrate(pool: Pool): Promise<string[]> {
  const client = await pool.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [migrationLock])
    try {
      return await applyPending(client)
    } finally {
      // A lost connection has let go of it already; what went wrong before is what matters.
      await client.query('select pg_advisory_unlock($1)', [migrationLock]).catch(() => {})
    }
  } finally {
    client.release()
  }
}

async function applyPending(client: PoolClient): Promise<string[]> {
  await client.query(
    'create table if not exists migration (name text primary key, ran_at timestamptz not null default now())',
  )
  const { rows } = await client.query<{ name: string }>('select name from migration')
  const done = new Set(rows.map((row) => row.name))
  const known = await migrationNames()
  const unknown = [...done].filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    throw new Error(
      `The store was written by a newer Parley (it has ${unknown.join(', ')}). Start that version, or restore a backup made before it.`,
    )
  }
  const pending = known.filter((name) => !done.has(name))
  for (const name of pending) {
    await client.query('begin')
    try {
      await client.query(await readFile(new URL(name, folder), 'utf8'))
      await client.query('insert into migration (name) values ($1)', [name])
      await client.query('commit')
    } catch (error) {
      await client.query('rollback').catch(() => {})
      throw new Error(`Migration ${name} failed`, { cause: error })
    }
  }
  return pending
}

const migrationNames = async () => (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
