import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { forget } from '../src/chat/sessions.ts'
import type { Db } from '../src/store/store.ts'
import { startServer } from '../src/testing.ts'

test('every connection to the store speaks in UTC and compiles no plans', async () => {
  await using server = await startServer()
  const { pool } = server.running.parley.chat.store
  const settings = await Promise.all(
    Array.from({ length: 3 }, () =>
      pool.query("select current_setting('timezone') as timezone, current_setting('jit') as jit"),
    ),
  )
  for (const { rows } of settings) expect(rows).toEqual([{ timezone: 'UTC', jit: 'off' }])
})

test('what is asked by a key is planned once, and stands a newer version that adds columns', async () => {
  await using server = await startServer()
  const { pool, db } = server.running.parley.chat.store
  const ana = await server.person('contact', 'ana')
  const { conversation } = await ana.call('conversation.create', { kind: 'support' })
  const ask = async () => {
    forget(server.running.parley.chat, [ana.userId])
    const hears = await ana.connect({ follow: [{ conversationId: conversation.id, after: 0 }] })
    await hears.until((frame) => frame.type === 'caughtup')
    hears.close()
    await ana.call('receipt.markAllRead', { conversationId: conversation.id })
  }
  const askOnAll = () => Promise.all(Array.from({ length: 3 * pool.options.max }, ask))
  await askOnAll()
  const prepared = await Promise.all(
    Array.from({ length: pool.options.max }, () =>
      pool.query<{ name: string }>('select name from pg_prepared_statements'),
    ),
  )
  const names = new Set(prepared.flatMap(({ rows }) => rows.map(({ name }) => name.replace(/^c\d+:/, ''))))
  for (const name of ['actor_of_session', 'participating', 'standing', 'lock_conversation', 'log']) {
    expect(names).toContain(name)
  }
  for (const { table } of await tablesOf(db)) await pool.query(`alter table ${table} add column later int`)
  await askOnAll()
})

const tablesOf = async (db: Db) =>
  (
    await sql<{ table: string }>`select format('%I', tablename) as table from pg_tables
      where schemaname = 'public'`.execute(db)
  ).rows
