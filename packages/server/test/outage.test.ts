import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  makePlace,
  type Person,
  type Place,
  startServer,
  type TestServer,
  testStore,
} from '../src/testing.ts'
import { TcpProxy } from './tcp-proxy.ts'
import { expectHealthy, makeWorld, type World } from './world.ts'

/** Promise G12: a send is answered within five seconds; what it takes to notice comes on top. */
const answeredMs = 6_500
const recoveredMs = 10_000

if (testStore !== 'postgres')
  console.warn('outage.test.ts is about PostgreSQL and is skipped on the embedded store')

describe.skipIf(testStore !== 'postgres')('[I4] [I5] [G12] the database goes away', () => {
  let place: Place
  let proxy: TcpProxy
  let server: TestServer
  let world: World
  let database: pg.Client

  beforeAll(async () => {
    place = await makePlace()
    const direct = new URL(place.env.DATABASE_URL ?? '')
    proxy = new TcpProxy({ host: direct.hostname, port: Number(direct.port || 5432) })
    const through = new URL(direct)
    through.host = `127.0.0.1:${await proxy.listen()}`
    server = await startServer({ place, env: { DATABASE_URL: through.href, LOG_LEVEL: 'silent' } })
    world = await makeWorld(server)
    database = new pg.Client({ connectionString: direct.href })
    await database.connect()
  })
  afterAll(async () => {
    await database.end()
    await server[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
    await place.remove()
  })

  type Attempt = { id: string; ok: boolean; code: string; ms: number; seq: number | undefined }

  async function attempt(id: string, who: Person = world.ana): Promise<Attempt> {
    const startedAt = performance.now()
    const { status, body } = await who.try('message.send', {
      ...{ conversationId: world.conversationId, clientMessageId: id, body: id },
    })
    const ms = performance.now() - startedAt
    return { id, ok: status === 201, code: body.error?.code ?? '', ms, seq: body.seq }
  }

  /** Every way a send may fail in bad weather, and nothing else. */
  function expectHonest({ id, ok, code, ms }: Attempt): void {
    expect({ id, late: ms > answeredMs, ms }).toMatchObject({ id, late: false })
    if (!ok)
      expect({ id, code, known: /^(unavailable|outcome_unknown|overloaded)$/.test(code) }).toMatchObject({
        id,
        known: true,
      })
  }

  async function recovered(): Promise<void> {
    const startedAt = performance.now()
    while (!(await attempt(crypto.randomUUID())).ok) {
      if (performance.now() - startedAt > recoveredMs) throw new Error('It has not recovered')
      await wait(100)
    }
  }

  /** Talk is as quick as ever once what was missed has been read, which the same ten seconds are for. */
  async function expectHealthyAgain(): Promise<void> {
    const startedAt = performance.now()
    for (;;) {
      try {
        return await expectHealthy(world)
      } catch (error) {
        if (performance.now() - startedAt > recoveredMs) throw error
      }
    }
  }

  /** What PostgreSQL itself says, asked beside the server. */
  async function stored(ids: string[]): Promise<Map<string, number>> {
    const { rows } = await database.query<{ client_message_id: string; seq: number }>(
      'select client_message_id, seq from message where client_message_id = any ($1)',
      [ids],
    )
    return new Map(rows.map((row) => [row.client_message_id, row.seq]))
  }

  /** Acknowledged is there; refused as not applied is not; a retry under the same name gives one message. */
  async function expectTruth(attempts: Attempt[]): Promise<void> {
    const there = await stored(attempts.map(({ id }) => id))
    for (const { id, ok, code, seq } of attempts) {
      if (ok) expect({ id, seq: there.get(id) }).toEqual({ id, seq })
      if (code === 'unavailable' || code === 'overloaded')
        expect({ id, there: there.has(id) }).toEqual({ id, there: false })
    }
    const again = await Promise.all(attempts.map(({ id }) => attempt(id)))
    for (const { id, ok, seq } of again) {
      expect({ id, ok, seq }).toEqual({ id, ok: true, seq: there.get(id) ?? seq })
    }
  }

  test('backends are terminated under sends: no false word, sockets stay, and it goes on', async () => {
    const socket = await world.sam.connect({ follow: [{ conversationId: world.conversationId, after: 0 }] })
    await socket.until((frame) => frame.type === 'caughtup')
    const attempts: Attempt[] = []
    let killed = 0
    for (let round = 0; round < 5; round++) {
      const sends = Array.from({ length: 40 }, () => attempt(crypto.randomUUID()))
      await wait(round * 2)
      const { rowCount } = await database.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
      )
      killed += rowCount ?? 0
      attempts.push(...(await Promise.all(sends)))
    }
    expect(killed).toBeGreaterThan(0)
    for (const one of attempts) expectHonest(one)
    await recovered()
    await expectTruth(attempts)
    expect(socket.closeCode).toBeUndefined()
    const { lastSeq } = await world.sam.call('message.list', { conversationId: world.conversationId })
    await socket.until((frame) => 'seq' in frame && frame.seq === lastSeq)
    const seqs = socket.entries(world.conversationId).map(({ seq }) => seq)
    expect(seqs).toEqual(Array.from({ length: lastSeq }, (_, i) => i + 1))
    socket.close()
    await expectHealthyAgain()
  })

  test('a row is locked by somebody else: sends to it are answered in time, others go through meanwhile', async () => {
    const other = await world.ana.call('conversation.create', { kind: 'support', inboxId: server.inboxId })
    await database.query('begin')
    await database.query('select 1 from conversation where id = $1 for update', [world.conversationId])
    const blocked = [attempt('locked 1'), attempt('locked 2')]
    await wait(100)
    const startedAt = performance.now()
    await world.ana.send(other.conversation.id, 'past the lock')
    const past = performance.now() - startedAt
    const attempts = await Promise.all(blocked)
    await database.query('rollback')
    for (const one of attempts) {
      expectHonest(one)
      expect(one.ok).toBe(false)
    }
    await recovered()
    await expectTruth(attempts)
    expect(past).toBeLessThan(answeredMs)
  })

  test('the network swallows everything: sends and reads fail in time, sockets stay, and it recovers by itself', async () => {
    const socket = await world.sam.connect()
    proxy.blackhole()
    const startedAt = performance.now()
    const overSocket = socket.command('message.send', {
      ...{ conversationId: world.conversationId, clientMessageId: 'over a socket', body: 'x' },
    })
    const attempts = await Promise.all(Array.from({ length: 20 }, () => attempt(crypto.randomUUID())))
    expect(await overSocket).toMatchObject({ ok: false, error: { retry: true } })
    expect(performance.now() - startedAt).toBeLessThan(answeredMs)
    expect(proxy.swallowed).toBeGreaterThan(0)
    for (const one of attempts) {
      expectHonest(one)
      expect(one.ok).toBe(false)
    }
    // Who asks is not known any more either, and that is found out in time too.
    const { status, headers, body } = await world.ana.try('me.get', {})
    expect([status, body.error.code, body.error.notApplied]).toEqual([503, 'unavailable', true])
    expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect((await server.rest('GET', '/ready')).status).toBe(503)
    expect(performance.now() - startedAt).toBeLessThan(answeredMs * 3)
    expect(socket.closeCode).toBeUndefined()
    proxy.heal()
    await recovered()
    await expectTruth(attempts)
    expect((await server.rest('GET', '/ready')).status).toBe(200)
    expect(await socket.command('unread.get')).toMatchObject({ ok: true })
    socket.close()
    await expectHealthyAgain()
  })
})
