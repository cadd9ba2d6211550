import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import { expect, test } from 'vitest'
import { forget } from '../src/chat/sessions.ts'
import { preparing } from '../src/store/prepared.ts'
import type { Db, Tables } from '../src/store/store.ts'
import { makePlace, startServer, testStore } from '../src/testing.ts'
import { TcpProxy } from './tcp-proxy.ts'

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
  await ana.call('message.send', { conversationId: conversation.id, clientMessageId: 'one', body: 'Hello' })
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
  for (const name of [
    'actor_of_session',
    'participating',
    'standing',
    'lock_conversation',
    'log',
    'reactions',
  ]) {
    expect(names).toContain(name)
  }
  for (const { table } of await tablesOf(db)) await pool.query(`alter table ${table} add column later int`)
  await askOnAll()
})

test.skipIf(testStore === 'embedded')(
  'a connection whose `begin` was answered too late is not used again',
  async () => {
    const place = await makePlace()
    const direct = new URL(place.env.DATABASE_URL ?? '')
    await using proxy = new TcpProxy({ host: direct.hostname, port: Number(direct.port || 5432) })
    const proxied = Object.assign(new URL(direct), { host: `127.0.0.1:${await proxy.listen()}` })
    const pool = new pg.Pool({ connectionString: proxied.href, max: 1, query_timeout: 200 })
    pool.on('connect', (client) => client.on('error', () => {}))
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: preparing(pool) }) })
    await sql`select 1`.execute(db)

    proxy.hold()
    await expect(db.transaction().execute(async () => {})).rejects.toThrow('timeout')
    proxy.letGo()
    await pool.query(`insert into server_meta values ('kept', 'yes')`)
    await expect(db.transaction().execute((tx) => sql`select 1 / 0`.execute(tx))).rejects.toThrow('zero')

    const { rows } = await pool.query(`select value from server_meta where key = 'kept'`)
    expect(rows).toEqual([{ value: 'yes' }])
    await pool.end()
    await place.remove()
  },
)

const tablesOf = async (db: Db) =>
  (
    await sql<{ table: string }>`select format('%I', tablename) as table from pg_tables
      where schemaname = 'public'`.execute(db)
  ).rows
