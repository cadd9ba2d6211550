import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { removeExpiredSessions } from '../src/chat/expired-sessions.ts'
import { keepRefreshToken } from '../src/chat/sessions.ts'
import { type Person, startServer, type TestServer } from '../src/testing.ts'

let server: TestServer
let ana: Person

beforeAll(async () => {
  server = await startServer()
  ana = await server.person('contact', 'ana')
})
afterAll(() => server[Symbol.asyncDispose]())

const chat = () => server.running.parley.chat

test('sessions that expired more than a day ago go with their tokens, and no others', async () => {
  const old = await session('2 days')
  const fresh = await session('1 hour')
  const revoked = await session('2 days')
  await chat()
    .db.updateTable('session')
    .set({ revoked_at: '2020-01-01T00:00:00Z' })
    .where('id', '=', revoked)
    .execute()
  expect(await removeExpiredSessions(chat())).toBe(2)
  expect(await removeExpiredSessions(chat())).toBe(0)

  const left = await chat().db.selectFrom('session').select('id').execute()
  expect(left.map(({ id }) => id)).toContain(fresh)
  const tokens = await chat().db.selectFrom('refresh_token').select('session_id').execute()
  const owners = tokens.map(({ session_id }) => session_id)
  expect(owners).toContain(fresh)
  expect(owners).not.toContain(old)
  expect((await ana.try('me.get', {})).status).toBe(200)
})

test('many at once are removed in batches', async () => {
  await Promise.all(Array.from({ length: 1_100 }, () => session('3 days')))
  expect(await removeExpiredSessions(chat())).toBe(1_100)
})

test('two nodes that remove at the same time do not stand in each other’s way', async () => {
  await Promise.all(Array.from({ length: 200 }, () => session('3 days')))
  const counts = await Promise.all([1, 2, 3].map(() => removeExpiredSessions(chat())))
  expect(counts.reduce((sum, count) => sum + count)).toBe(200)
})

test('the tokens of one session are found without reading those of its workspace', async () => {
  const { rows } = await chat().store.pool.query<{ indexdef: string }>(
    "select indexdef from pg_indexes where tablename = 'refresh_token'",
  )
  expect(rows.map(({ indexdef }) => indexdef.replace(/^.* USING /, ''))).toContain(
    'btree (workspace_id, session_id)',
  )
})

/** A session of ana's that ended so long ago, with a token. */
async function session(ago: string): Promise<string> {
  const sessionId = randomUUIDv7()
  const { workspaceId } = server
  await chat().store.pool.query(
    `insert into session (workspace_id, id, person_id, kind, expires_at)
    values ($1, $2, $3, 'password', now() - $4::interval)`,
    [workspaceId, sessionId, ana.userId, ago],
  )
  await keepRefreshToken(chat().db, { workspaceId, sessionId }, randomBytes(48).toString('base64url'))
  return sessionId
}
