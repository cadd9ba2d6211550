import { execFile } from 'node:child_process'
import { createHmac, createSecretKey } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import { SignJWT } from 'jose'
import { sql } from 'kysely'
import { io, type Socket } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { peopleByExternalIds } from '../../src/chat/people.ts'
import type { Door } from '../../src/dialects/door.ts'
import { tutorgo } from '../../src/dialects/tutorgo/index.ts'
import { startServer, type TestServer } from '../../src/testing.ts'
import { insides } from '../world.ts'
import { type Fixture, readFixtures, readRows, replay } from './replay.ts'

const mounts = [
  'tutorgo:0',
  'tutorgo:0?envelope=wrapped',
  'tutorgo:0?messageLimit=3&requestLimit=8&connectionLimit=2',
  'tutorgo:0?completed=on',
  'tutorgo:0',
  'tutorgo@localhost',
]
const transports = [['polling'], ['polling', 'websocket']]

let demo: TestServer
let secret: string
let at: Record<'prefix' | 'root' | 'host' | 'wrapped' | 'limited' | 'completed' | 'counted', string>

beforeAll(async () => {
  demo = await startServer({ args: ['--demo'], env: { PARLEY_MOUNTS: mounts.join(',') } })
  secret = demo.running.demo?.identitySecret ?? ''
  const urls = demo.running.mounts.map((mount) => mount.url)
  const [root = '', wrapped = '', limited = '', completed = '', counted = ''] = urls
  const host = demo.url.replace('127.0.0.1', 'localhost')
  at = { prefix: `${demo.url}/tutorgo`, root, host, wrapped, limited, completed, counted }
})
afterAll(() => demo[Symbol.asyncDispose]())

const fixtures = readFixtures('tutorgo')
const about = (word: string) => (fixture: Fixture) =>
  fixture.covers.some((row) => row.startsWith(`${word}: `))
const elsewhere = ['wrapped', 'fault', 'limit', 'completed', 'counted']
const isUsual = (fixture: Fixture) => !elsewhere.some((word) => about(word)(fixture))
const shownBelow = new Set<string>()

/** A test of its own for rows that no recorded exchange can show. */
function shows(rows: string[], title: string, work: () => Promise<void>): void {
  for (const row of rows) shownBelow.add(row)
  test(title, work)
}

test('every row of the tables has an exchange that shows it, and no exchange shows a row that is not there', () => {
  const rows = readRows('tutorgo')
  const covered = new Set([...fixtures.flatMap((fixture) => fixture.covers), ...shownBelow])
  expect(new Set(rows).size).toBe(rows.length)
  expect(rows.filter((row) => !covered.has(row))).toEqual([])
  expect([...covered].filter((row) => !rows.includes(row))).toEqual([])
})

const places = [
  ['prefix', fixtures.filter(isUsual)],
  ['root', fixtures.filter(isUsual)],
  ['host', fixtures.filter(({ covers }) => covers.includes('send-message') || covers.includes('CORS'))],
  ['wrapped', fixtures.filter(about('wrapped'))],
  ['limited', fixtures.filter(about('limit'))],
  ['completed', fixtures.filter(about('completed'))],
  ['counted', fixtures.filter(about('counted'))],
] as const

for (const [place, ofPlace] of places) {
  describe(`at the ${place} mount`, () => {
    for (const fixture of ofPlace) {
      test(fixture.title, async () => {
        const prefix = place === 'prefix' ? '/tutorgo' : ''
        await replay(fixture, at[place], { ...(await cast(secret)), prefix })
      })
    }
  })
}

describe('when the store fails', () => {
  const [whole, write, nobody] = fixtures.filter(about('fault'))

  test('routes say what they could not do', async () => {
    const given = await cast(secret)
    // Known before: what fails is the work, not finding out who asks.
    await play({ title: 'everybody is known', covers: [], steps: whoIsWho }, given)
    await renamed(['table receipt', 'table participant'], () => play(whole, given))
  })

  test('a message that cannot be written is told to its sender', async () => {
    const given = await cast(secret)
    await renamed(['function append_all', 'function append_each'], () => play(write, given))
  })

  test('nobody is let in whom nobody can look up', async () => {
    const given = await cast(secret)
    await renamed(['table identity_key'], () => play(nobody, given))
  })
})

async function play(fixture: Fixture | undefined, given: Record<string, string>): Promise<void> {
  if (!fixture) throw new Error('There is no such exchange')
  await replay(fixture, at.prefix, given)
}

const whoIsWho: Fixture['steps'] = ['s', 't'].map((who) => ({
  http: { method: 'GET', path: `/chat/conversations/{{${who}}}`, token: `{{${who}Token}}` },
  gives: { status: 200 },
}))

async function renamed(things: string[], work: () => Promise<void>): Promise<void> {
  const { db } = demo.running.parley.chat
  const name = (thing: string) => thing.split(' ')[1]
  for (const thing of things) await sql.raw(`alter ${thing} rename to ${name(thing)}_gone`).execute(db)
  try {
    await work()
  } finally {
    for (const thing of things) await sql.raw(`alter ${thing}_gone rename to ${name(thing)}`).execute(db)
  }
}

/**
 * Three people and an admin with tokens, and ids of pairs; a tag keeps runs apart. `a`, `a_b`, `b_c`, `c` are hard to
 * tell apart, and so are `d`, `d_x`, `x_d`; only `s` has a name beside the id. `long` is as long as a message may be.
 */
async function cast(key: string): Promise<Record<string, string>> {
  const tag = crypto.randomUUID().slice(0, 8)
  const people = {
    s: `ana-${tag}`,
    t: `tom-${tag}`,
    o: `zoe-${tag}`,
    a: `0${tag}a`,
    a_b: `0${tag}a_b`,
    b_c: `b_c${tag}`,
    c: `c${tag}`,
    d: `d${tag}`,
    d_x: `d${tag}_x`,
    x_d: `x_d${tag}`,
  }
  const { s, t, o, a, b_c, d, d_x } = people
  const given: Record<string, string> = {
    tag,
    ...people,
    st: `${s}_${t}`,
    ts: `${t}_${s}`,
    so: `${s}_${o}`,
    to: `${t}_${o}`,
    abc: `${a}_${b_c}`,
    ddx: `${d}_${d_x}`,
    dxd: `${d_x}_${d}`,
    long: `${'x'.repeat(4_999)}🙂`,
  }
  for (const [name, userId] of Object.entries(people)) given[`${name}Token`] = await token(key, userId)
  given.sToken = await token(key, s, { name: 'Ana' })
  given.adminToken = await token(key, 'operator', { role: 'ADMIN' })
  given.expiredToken = await token(key, s, { name: 'Ana', exp: Math.floor(Date.now() / 1000) - 60 })
  given.forgedToken = await token('another secret that nobody here has ever trusted', s)
  return given
}

function token(key: string, userId: string, claims: Record<string, unknown> = {}): Promise<string> {
  const exp = Math.floor(Date.now() / 1000) + 3_600
  return new SignJWT({ userId, email: `${userId}@example.com`, role: 'student', exp, ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(createSecretKey(Buffer.from(key)))
}

describe('bookings looked up at the service that keeps them', () => {
  test('what it says counts and is kept for a while; whom it names is somebody, seen or not', async () => {
    await using service = await bookingsService()
    await using server = await startServer({
      args: ['--demo'],
      env: { PARLEY_MOUNTS: lookUpMount(service.url) },
    })
    const { root, given } = await lookUpCast(server)
    service.says = [{ studentId: given.s, tutorId: given.t, status: 'confirmed' }]
    await using ana = await Client.open(root, given.sToken)
    expect(await ana.send(given.st, given.t, 'Hello')).toMatchObject({ success: true })
    expect(await ana.send(given.st, given.t, 'again')).toMatchObject({ success: true })
    expect(service.asked).toEqual([[given.s, given.t]])
    // Nobody has seen the tutor's token yet; the booking has named them, so the message waits for them.
    await using tom = await Client.open(root, given.tToken)
    expect((await tom.heard('connected')).queuedMessages).toMatchObject([
      { message: 'Hello' },
      { message: 'again' },
    ])
  })

  test('a lesson that is over ends the permission, whichever mount or node hears of it first', async () => {
    await using service = await bookingsService()
    const twice = `${lookUpMount(service.url)},${lookUpMount(service.url)}`
    await using server = await startServer({ args: ['--demo'], env: { PARLEY_MOUNTS: twice } })
    const { root, given } = await lookUpCast(server)
    const other = server.running.mounts[1]?.url ?? ''
    service.says = [{ studentId: given.t, tutorId: given.s, status: 'confirmed' }]
    await using ana = await Client.open(root, given.sToken)
    expect(await ana.send(given.st, given.t, 'Hello')).toMatchObject({ success: true })
    service.says = [{ studentId: given.t, tutorId: given.s, status: 'completed' }]
    await using tom = await Client.open(other, given.tToken)
    expect(await tom.send(given.st, given.s, 'Hello')).toEqual({ success: false, message: noBooking })
    expect(await ana.send(given.st, given.t, 'Hello')).toEqual({ success: false, message: noBooking })
  })

  test('it is no booking when the service names other people, another status, or nobody', async () => {
    await using service = await bookingsService()
    await using server = await startServer({
      args: ['--demo'],
      env: { PARLEY_MOUNTS: lookUpMount(service.url) },
    })
    const { root, given } = await lookUpCast(server)
    await using ana = await Client.open(root, given.sToken)
    service.says = [
      { studentId: given.s, tutorId: given.o, status: 'confirmed' },
      { studentId: given.s, tutorId: given.t, status: 'pending' },
      { nonsense: true },
    ]
    expect(await ana.send(given.st, given.t, 'Hello')).toEqual({ success: false, message: noBooking })
    service.says = { success: true, data: [] }
    expect(await ana.send(given.so, given.o, 'Hello')).toEqual({ success: false, message: noBooking })
  })

  test('a service that does not answer in two seconds does not stop those whose booking is known', async () => {
    await using service = await bookingsService()
    await using server = await startServer({
      args: ['--demo'],
      env: { PARLEY_MOUNTS: lookUpMount(service.url) },
    })
    const { root, given } = await lookUpCast(server)
    service.isSilent = true
    await using ana = await Client.open(root, given.sToken)
    const began = performance.now()
    expect(await ana.send(given.st, given.t, 'Hello')).toEqual({
      success: false,
      message: 'Failed to send message. Please try again.',
    })
    expect(performance.now() - began).toBeLessThan(4_000)
    await book(root, given, { studentId: given.s, tutorId: given.t, status: 'confirmed' })
    expect(await ana.send(given.st, given.t, 'Hello')).toMatchObject({ success: true })
  })

  test('an address inside of somebody’s network is refused at the start', () => {
    const mount = { options: { bookingsUrl: 'http://10.0.0.1/bookings' } }
    expect(() => tutorgo.routes(Fastify(), { mount } as unknown as Door)).toThrow('bookingsUrl')
  })
})

describe('bookings told by their service', () => {
  const key = 'a-shared-secret-of-the-bookings-service'

  test('a signature over the body is enough; a wrong one is worth nothing', async () => {
    await using server = await startServer({
      args: ['--demo'],
      env: { PARLEY_MOUNTS: `tutorgo:0?bookingsSecret=${key}` },
    })
    const root = server.running.mounts[0]?.url ?? ''
    const given = await cast(server.running.demo?.identitySecret ?? '')
    const body = JSON.stringify([
      { id: 7, studentId: given.s, tutorId: given.t, status: 'confirmed' },
      { id: 8, studentId: given.s, tutorId: given.o, status: 'pending' },
    ])
    const tell = (signature: string) =>
      fetch(`${root}/chat/bookings`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-signature': signature },
        body,
      })
    const signature = `sha256=${createHmac('sha256', key).update(body).digest('hex')}`
    expect((await tell(signature.replace(/.$/, (last) => (last === '0' ? '1' : '0')))).status).toBe(403)
    expect((await tell('nonsense')).status).toBe(403)
    await using ana = await Client.open(root, given.sToken)
    expect(await ana.send(given.st, given.t, 'Hello')).toMatchObject({ success: false })
    expect(await (await tell(signature)).json()).toEqual({
      success: true,
      message: 'Bookings updated',
      data: { updated: 2 },
    })
    expect(await ana.send(given.st, given.t, 'Hello')).toMatchObject({ success: true })
    expect(await ana.send(given.so, given.o, 'Hello')).toEqual({ success: false, message: noBooking })
  })

  test('a native API key of an admin is enough, that of anybody else is not', async () => {
    const given = await cast(secret)
    const body = { studentId: given.s, tutorId: given.t, status: 'confirmed' }
    const [admin, agent] = [await demo.person('admin'), await demo.person('agent')]
    expect((await post(`${at.root}/chat/bookings`, agent.token, body)).status).toBe(403)
    expect((await post(`${at.root}/chat/bookings`, admin.token, body)).status).toBe(200)
    const { workspaceId } = await demo.workspace()
    const stranger = await demo.person('admin', 'stranger', workspaceId)
    expect((await post(`${at.root}/chat/bookings`, stranger.token, body)).status).toBe(403)
  })
})

describe('sockets', () => {
  shows(['connected.socketId'], 'the greeting names the socket as the client knows it', async () => {
    const given = await cast(secret)
    for (const base of [at.prefix, at.root]) {
      await using ana = await Client.open(base, given.sToken)
      expect((await ana.heard('connected')).socketId).toBe(ana.socket.id)
    }
  })

  for (const names of transports) {
    shows(
      ['polling, and the upgrade from it'],
      `two people talk over ${names.join(', then ')}, and one of them over a WebSocket alone`,
      async () => {
        const given = await cast(secret)
        await book(at.root, given, { studentId: given.s, tutorId: given.t, status: 'confirmed' })
        for (const base of [at.prefix, at.root, at.host]) {
          await using ana = await Client.open(base, given.sToken, names)
          await using tom = await Client.open(at.root, given.tToken)
          await tom.heard('connected')
          await ana.heard('connected')
          await expect.poll(() => ana.transport).toBe(names.at(-1))
          ana.socket.emit('join-conversation', given.st)
          await ana.heard('joined-conversation')
          const toTom = { conversationId: given.st, receiverId: given.t, message: 'Hello Tom' }
          ana.socket.emit('send-message', toTom)
          const sent = await ana.heard('message-sent')
          expect(sent).toMatchObject({ ...toTom, senderId: given.s })
          expect(await tom.heard('new-message')).toEqual(sent)
          tom.socket.emit('send-message', { ...toTom, receiverId: given.s, message: 'Hello Ana' })
          const answer = await ana.heard('new-message')
          expect(answer).toMatchObject({ message: 'Hello Ana', senderId: given.t })
          await expect.poll(() => ana.all('message')).toEqual([sent, answer])
          ana.socket.emit('leave-conversation', 'nothing of mine')
          expect(await ana.heard('error')).toEqual({ message: 'Unauthorized access to conversation' })
          expect(ana.transport).toBe(names.at(-1))
        }
        for (const base of [at.prefix, at.root, at.host])
          await expect(Client.open(base, given.forgedToken, names)).rejects.toThrow(
            'Invalid or expired token',
          )
        await expect(Client.open(demo.url, given.sToken, names)).rejects.toThrow('Invalid namespace')
      },
    )
  }

  shows(['CORS: Socket.IO'], 'the front end may poll with credentials, as it may ask over REST', async () => {
    const ask = async (base: string, origin: string | null, method = 'GET') => {
      const headers = { ...(origin !== null && { origin }), 'access-control-request-method': 'POST' }
      const path = new URL('/socket.io/?EIO=4&transport=polling', base)
      const answer = await fetch(path, { method, headers })
      const allowed = (what: string) => answer.headers.get(`access-control-allow-${what}`)
      return [answer.status, allowed('origin'), allowed('origin') === origin && allowed('credentials')]
    }
    const frontend = 'http://localhost:3000'
    for (const base of [at.prefix, at.root, at.host]) {
      expect(await ask(base, frontend)).toEqual([200, frontend, 'true'])
      expect(await ask(base, frontend, 'OPTIONS')).toEqual([204, frontend, 'true'])
      expect((await ask(base, null))[0]).toBe(200)
    }
    for (const base of [at.root, at.host])
      expect(await ask(base, 'http://evil.example')).toEqual([200, null, false])
    // The prefixes share one path, and other dialects let any page ask there.
    expect(await ask(at.prefix, 'http://evil.example')).toEqual([200, '*', false])
  })

  shows(
    [
      'GET /chat/messages/:conversationId: 50 unless asked, 200 at most',
      'GET /chat/search/:userId: 200 at most',
      'connected.queuedMessages: the 200 newest',
    ],
    'a page is 50 messages unless asked for more, and never over 200, as is the queue',
    async () => {
      const given = await cast(secret)
      await book(at.root, given, { studentId: given.s, tutorId: given.t, status: 'confirmed' })
      await using ana = await Client.open(at.root, given.sToken)
      const texts = Array.from({ length: 203 }, (_, i) => `message ${i}`)
      await Promise.all(texts.map((text) => ana.send(given.st, given.t, text)))
      const newest = texts.toReversed()
      const page = async (query: string) => {
        const answer = await fetch(`${at.root}/chat/${query}`, { headers: auth(given.sToken) })
        return ((await answer.json()) as { message: string }[]).map(({ message }) => message)
      }
      for (const query of ['', '?limit=abc', '?limit=', '?limit=1.5', '?limit=50'])
        expect(await page(`messages/${given.st}${query}`), query).toEqual(newest.slice(0, 50))
      for (const query of ['?limit=200', '?limit=201', '?limit=99999', '?limit=999999999999999'])
        expect(await page(`messages/${given.st}${query}`), query).toEqual(newest.slice(0, 200))
      expect(await page(`messages/${given.st}?limit=500&offset=200`)).toEqual(newest.slice(200))
      expect(await page(`search/${given.s}?q=message&limit=99999`)).toEqual(newest.slice(0, 200))
      expect(await page(`search/${given.s}?q=message`)).toEqual(newest.slice(0, 50))
      await using tom = await Client.open(at.prefix, given.tToken)
      const { queuedMessages, unreadCount } = await tom.heard('connected')
      expect((queuedMessages as { message: string }[]).map(({ message }) => message)).toEqual(texts.slice(3))
      expect(unreadCount).toBe(203)
    },
  )

  test('the token may come in a header, as the library of the old service took it', async () => {
    const given = await cast(secret)
    const socket = io(at.root, {
      transports: ['websocket'],
      forceNew: true,
      extraHeaders: { authorization: `Bearer ${given.sToken}` },
    })
    const greeting = await new Promise((resolve) => socket.once('connected', resolve))
    expect(greeting).toMatchObject({ userId: given.s })
    socket.close()
  })

  test('somebody who is switched off is told so and hears no more within two seconds', async () => {
    const given = await cast(secret)
    await book(at.root, given, { studentId: given.s, tutorId: given.t, status: 'confirmed' })
    await using ana = await Client.open(at.prefix, given.sToken)
    await using tom = await Client.open(at.root, given.tToken)
    await tom.heard('connected')
    const owner = await demo.person('owner')
    const ofAna = await idOf(given.s)
    await owner.call('user.update', { userId: ofAna, active: false })
    await expect.poll(() => ana.isOpen, { timeout: 2_000 }).toBe(false)
    expect(ana.all('error')).toEqual([{ message: 'Invalid or expired token' }])
    expect(
      (await fetch(`${at.root}/chat/conversations/${given.s}`, { headers: auth(given.sToken) })).status,
    ).toBe(403)
    await expect(Client.open(at.root, given.sToken)).rejects.toThrow('Invalid or expired token')
  })

  test('a grant that is ended natively ends sending at once', async () => {
    const given = await cast(secret)
    await using ana = await Client.open(at.root, given.sToken)
    await using tom = await Client.open(at.root, given.tToken)
    await tom.heard('connected')
    const owner = await demo.person('owner')
    const userIds: [string, string] = [await idOf(given.s), await idOf(given.t)]
    const grant = await owner.call('grant.create', {
      userIds,
      kind: 'booking',
      externalRef: `native ${given.tag}`,
    })
    expect(await ana.send(given.st, given.t, 'Hello')).toMatchObject({ success: true })
    await owner.call('grant.end', { grantId: grant.id })
    expect(await ana.send(given.st, given.t, 'Hello')).toEqual({ success: false, message: noBooking })
  })

  test('a message sent twice under one key is one message, and both times its sender hears of it', async () => {
    const given = await cast(secret)
    await book(at.root, given, { studentId: given.s, tutorId: given.t, status: 'confirmed' })
    await using ana = await Client.open(at.root, given.sToken)
    const first = await ana.send(given.st, given.t, 'once', { clientMessageId: 'key-1' })
    expect(await ana.send(given.st, given.t, 'once', { clientMessageId: 'key-1' })).toEqual(first)
    expect(await ana.send(given.st, given.t, 'other', { clientMessageId: 'key-1' })).toMatchObject({
      success: false,
    })
    await using again = await Client.open(at.root, given.sToken)
    expect(await again.send(given.st, given.t, 'once', { clientMessageId: 'key-1' })).toEqual(first)
    expect(await again.heard('message-sent')).toMatchObject({ message: 'once' })
    expect(ana.all('message-sent')).toHaveLength(1)
  })

  test('many messages at once come in the order they were sent, each once', async () => {
    const given = await cast(secret)
    await book(at.root, given, { studentId: given.s, tutorId: given.t, status: 'confirmed' })
    await using ana = await Client.open(at.root, given.sToken)
    await using tom = await Client.open(at.prefix, given.tToken)
    await tom.heard('connected')
    const texts = Array.from({ length: 100 }, (_, i) => `message ${i}`)
    await Promise.all(texts.map((text) => ana.send(given.st, given.t, text)))
    await expect.poll(() => tom.all('new-message').length, { timeout: 5_000 }).toBe(100)
    expect(tom.all('new-message').map((message) => message.message)).toEqual(texts)
    expect(ana.all('message-sent').map((message) => message.message)).toEqual(texts)
  })

  test('whoever does not read keeps nobody waiting, and is told the rest in order once they do', async () => {
    await using server = await startServer({
      args: ['--demo'],
      env: { PARLEY_MOUNTS: 'tutorgo:0', MAX_OUTBOX_BYTES: '262144' },
    })
    const { root, given } = await lookUpCast(server)
    await book(root, given, { studentId: given.s, tutorId: given.t, status: 'confirmed' })
    await using ana = await Client.open(root, given.sToken)
    await using tom = await Client.open(root, given.tToken)
    await tom.heard('connected')
    const { transport } = tom.socket.io.engine as unknown as {
      transport: { ws: { pause(): void; resume(): void } }
    }
    transport.ws.pause()
    const texts = Array.from({ length: 200 }, (_, i) => `${i} ${'😀'.repeat(4_000)}`)
    for (const text of texts) expect(await ana.send(given.st, given.t, text)).toMatchObject({ success: true })
    expect(tom.all('new-message')).toEqual([])
    transport.ws.resume()
    await expect.poll(() => tom.all('new-message').length, { timeout: 10_000 }).toBe(200)
    expect(tom.all('new-message').map(({ message }) => message)).toEqual(texts)
    expect(tom.isOpen).toBe(true)
  })

  test('the same conversation is there for native clients, with order, receipts and unread', async () => {
    const given = await cast(secret)
    await book(at.root, given, { studentId: given.s, tutorId: given.t, status: 'confirmed' })
    await using ana = await Client.open(at.root, given.sToken)
    await ana.send(given.st, given.t, 'one')
    await ana.send(given.st, given.t, 'two')
    const owner = await demo.person('owner')
    const { conversations } = await owner.call('conversation.list', { contactId: await idOf(given.t) })
    const [summary] = conversations
    expect(summary?.conversation).toMatchObject({ kind: 'direct', grantRequired: true })
    const { messages } = await owner.call('message.list', { conversationId: summary?.conversation.id ?? '' })
    expect(messages.map((message) => message.body)).toEqual(['one', 'two'])
    const conversationId = summary?.conversation.id ?? ''
    const ofTom = await idOf(given.t)
    const readByTom = async () => {
      const { receipts } = await owner.call('receipt.list', { conversationId })
      return receipts.find(({ userId }) => userId === ofTom)?.read ?? 0
    }
    const unreadAtThisDoor = async () => {
      await using tom = await Client.open(at.root, given.tToken)
      return (await tom.heard('connected')).unreadCount
    }
    expect([await unreadAtThisDoor(), await readByTom()]).toEqual([2, 0])
    const read = { method: 'PATCH', headers: auth(given.tToken) }
    await fetch(`${at.root}/chat/conversations/${given.st}/read`, read)
    expect([await unreadAtThisDoor(), await readByTom()]).toEqual([0, messages.at(-1)?.seq])
  })

  test('[B8] ids are text: a number is no id, and none becomes another on the way', async () => {
    const given = await cast(secret)
    await using ana = await Client.open(at.root, given.sToken)
    const ids = [7, 2 ** 53, Number.MAX_VALUE]
    for (const receiverId of ids)
      ana.socket.emit('send-message', { conversationId: `7_${given.s}`, receiverId, message: 'x' })
    const refused = ids.map(() => ({ message: 'Invalid message format' }))
    await expect.poll(() => ana.all('error')).toEqual(refused)
  })

  test('nonsense of every kind is answered or ignored, and the server goes on', async () => {
    const given = await cast(secret)
    await book(at.root, given, { studentId: given.s, tutorId: given.t, status: 'confirmed' })
    await using ana = await Client.open(at.root, given.sToken)
    const events = ['send-message', 'join-conversation', 'leave-conversation', 'typing-start', 'typing-stop']
    const more = [
      'edit-message',
      'delete-message',
      'react-message',
      'no-such-event',
      '__proto__',
      'constructor',
    ]
    const things = [
      undefined,
      null,
      0,
      '',
      [],
      {},
      { conversationId: {} },
      '\ud800',
      '\0',
      'x'.repeat(70_000),
      nest(60),
    ]
    for (const name of [...events, ...more]) {
      for (const thing of things) ana.socket.emit(name, thing)
    }
    ana.socket.emit('send-message', { conversationId: given.st, receiverId: given.t, message: '\ud800' })
    ana.socket.emit('send-message', {
      conversationId: given.st,
      receiverId: given.t,
      message: 'x',
      attachmentIds: 7,
    })
    expect(await ana.send(given.st, given.t, 'still here')).toMatchObject({ success: true })
    for (const { message } of ana.all('error')) {
      expect(message).toMatch(
        /^(Missing required|Conversation ID|Unauthorized|Invalid message|Message not found)/,
      )
      expect(message).not.toMatch(insides)
    }
    const rows = await fetch(`${at.root}/chat/messages/${given.st}`, { headers: auth(given.sToken) })
    expect(await rows.json()).toMatchObject([{ message: 'still here' }])
  })
})

shows(
  ['attachments: url leads to the file'],
  'what url points to is the file, for the two people of the message and nobody else',
  async () => {
    const given = await cast(secret)
    await book(at.root, given, { studentId: given.s, tutorId: given.t, status: 'confirmed' })
    for (const base of [at.prefix, at.root]) {
      const form = new FormData()
      form.set('file', new Blob(['notes'], { type: 'text/plain' }), 'notes.txt')
      const upload = { method: 'POST', headers: auth(given.sToken), body: form }
      const file = (await (await fetch(`${base}/chat/attachments`, upload)).json()) as Told
      await using ana = await Client.open(base, given.sToken)
      await using tom = await Client.open(base, given.tToken)
      await tom.heard('connected')
      await ana.send(given.st, given.t, '', { attachmentIds: [file.id] })
      const [row] = (await (
        await fetch(`${base}/chat/messages/${given.st}`, { headers: auth(given.tToken) })
      ).json()) as Told[]
      const told = [await ana.heard('message-sent'), await tom.heard('new-message'), row]
      for (const { attachments } of told as { attachments: Told[] }[]) {
        expect(attachments).toEqual([file])
        const get = async (one?: string) => {
          const headers = one === undefined ? {} : auth(one)
          const answer = await fetch(new URL(file.url ?? '', base), { headers })
          return [answer.status, await answer.text()]
        }
        expect(await get(given.tToken)).toEqual([200, 'notes'])
        expect(await get(given.sToken)).toEqual([200, 'notes'])
        expect((await get(given.oToken))[0]).toBe(403)
        expect((await get(given.forgedToken))[0]).toBe(403)
        expect((await get())[0]).toBe(401)
      }
    }
  },
)

describe('who may be here', () => {
  test('a role in a token gives no more than to be one of two', async () => {
    const given = await cast(secret)
    await book(at.root, given, { studentId: given.s, tutorId: given.t, status: 'confirmed' })
    await using ana = await Client.open(at.root, given.sToken)
    await ana.send(given.st, given.t, 'between us')
    for (const role of ['admin', 'ADMIN', 'owner']) {
      const boss = await token(secret, `boss-${given.tag}-${role}`, { role })
      const read = await fetch(`${at.root}/chat/messages/${given.st}`, { headers: auth(boss) })
      expect([read.status, await read.json()]).toEqual([
        403,
        { success: false, message: 'Unauthorized access to conversation' },
      ])
      const list = await fetch(`${at.root}/chat/conversations/boss-${given.tag}-${role}`, {
        headers: auth(boss),
      })
      expect(await list.json()).toEqual([])
    }
  })

  test('a key of another workspace opens nothing here, and the same ids there are other people', async () => {
    const { workspaceId } = await demo.workspace()
    const owner = await demo.person('owner', 'elsewhere', workspaceId)
    const foreign = 'k3Zr8QwLx0VbN5tYuJm2HsPd7FgAeC9o'
    await owner.call('identityKey.create', { kind: 'hs256', secret: foreign, userIdClaim: 'userId' })
    const given = await cast(foreign)
    const answer = await fetch(`${at.root}/chat/conversations/${given.s}`, { headers: auth(given.sToken) })
    expect(answer.status).toBe(403)
  })

  test('in the default mode nobody signs up here, and a token without a trusted key is refused', async () => {
    await using server = await startServer()
    const base = `${server.url}/tutorgo`
    const given = await cast('a secret that this server has never been told of')
    for (const path of ['/auth/register', '/auth/login', '/register']) {
      const answer = await post(`${base}${path}`, '', {
        email: 'a@b.example',
        password: 'Passw0rd',
        role: 'admin',
      })
      expect([answer.status, await answer.json()]).toEqual([
        404,
        { success: false, error: { message: `Route ${path} not found` } },
      ])
    }
    const list = await fetch(`${base}/chat/conversations/${given.s}`, { headers: auth(given.sToken) })
    expect(list.status).toBe(403)
    const booking = await post(`${base}/chat/bookings`, given.adminToken, {
      studentId: 'a',
      tutorId: 'b',
      status: 'confirmed',
    })
    expect(booking.status).toBe(403)
  })

  test('a token with another algorithm or none is refused', async () => {
    const given = await cast(secret)
    const [, payload] = (given.sToken ?? '').split('.')
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`
    const answer = await fetch(`${at.root}/chat/conversations/${given.s}`, { headers: auth(none) })
    expect(answer.status).toBe(403)
    await expect(Client.open(at.root, none)).rejects.toThrow('Invalid or expired token')
  })
})

test('bad paths, queries and bodies get this dialect’s own refusals and never a fault', async () => {
  const given = await cast(secret)
  const ids = [
    '%00',
    '%ed%a0%80x',
    "';drop table message;--",
    '../../etc/passwd',
    'a'.repeat(500),
    '__proto__',
    '%F0%9F%92%A9',
  ]
  const methods = ['GET', 'PATCH', 'POST', 'PUT', 'DELETE']
  for (const base of [at.prefix, at.root]) {
    for (const id of ids) {
      const paths = [`/chat/messages/${id}`, `/chat/conversations/${id}`, `/chat/conversations/${id}/read`]
      const more = [
        `/chat/messages/${id}/read`,
        `/chat/attachments/${id}`,
        `/chat/search/${id}?q=${id}`,
        `/${id}`,
      ]
      for (const path of [...paths, ...more]) {
        for (const method of methods) {
          const answer = await fetch(`${base}${path}`, { method, headers: auth(given.sToken) })
          const text = await answer.text()
          expect(answer.status, `${method} ${path} ${text}`).toBeGreaterThanOrEqual(400)
          expect(answer.status, `${method} ${path} ${text}`).toBeLessThan(500)
          expect(text).not.toMatch(insides)
        }
      }
    }
  }
  const large = await fetch(`${at.root}/chat/bookings`, {
    method: 'POST',
    headers: { ...auth(given.adminToken), 'content-type': 'application/json' },
    body: JSON.stringify({ x: 'x'.repeat(1_100_000) }),
  })
  expect([large.status, await large.json()]).toEqual([
    413,
    { success: false, message: 'Request is too large' },
  ])
})

test('the front end that a mount names is the one that its pages are, for REST and for Socket.IO', async () => {
  await using server = await startServer({
    env: { PARLEY_MOUNTS: 'tutorgo:0?frontendUrl=https://tutor.example' },
  })
  const root = server.running.mounts[0]?.url ?? ''
  for (const path of ['/chat/health', '/socket.io/?EIO=4&transport=polling']) {
    for (const origin of ['https://tutor.example', 'http://localhost:3000', 'https://tutor.example.evil']) {
      const { headers } = await fetch(`${root}${path}`, { headers: { origin } })
      const isNamed = origin === 'https://tutor.example'
      expect(headers.get('access-control-allow-origin'), path).toBe(isNamed ? origin : null)
    }
  }
})

test('a token that has run out may be told from a bad one, where a client refreshes only then', async () => {
  await using server = await startServer({
    args: ['--demo'],
    env: { PARLEY_MOUNTS: 'tutorgo:0?expired=401' },
  })
  const root = server.running.mounts[0]?.url ?? ''
  const given = await cast(server.running.demo?.identitySecret ?? '')
  const ask = (one: string | undefined) =>
    fetch(`${root}/chat/conversations/${given.s}`, { headers: auth(one) }).then((answer) => answer.status)
  expect(await Promise.all([ask(given.expiredToken), ask(given.forgedToken), ask(given.sToken)])).toEqual([
    401, 403, 200,
  ])
})

test('the walkthrough of a newcomer, with curl and a Socket.IO client', async () => {
  const given = await cast(secret)
  const curl = async (...args: string[]) =>
    JSON.parse((await promisify(execFile)('curl', ['-sS', '--max-time', '10', ...args])).stdout)
  const bearer = (one = '') => ['-H', `Authorization: Bearer ${one}`]
  const json = ['-H', 'Content-Type: application/json']
  const booking = JSON.stringify({ studentId: given.s, tutorId: given.t, status: 'confirmed' })
  expect(
    await curl('-X', 'POST', `${at.root}/chat/bookings`, ...bearer(given.adminToken), ...json, '-d', booking),
  ).toMatchObject({ success: true })
  await using tom = await Client.open(at.root, given.tToken)
  await tom.heard('connected')
  await using ana = await Client.open(at.root, given.sToken)
  ana.socket.emit('send-message', {
    conversationId: given.st,
    receiverId: given.t,
    message: 'When shall we meet?',
  })
  expect(await tom.heard('new-message')).toMatchObject({ senderId: given.s, message: 'When shall we meet?' })
  const [chat] = await curl(`${at.root}/chat/conversations/${given.t}`, ...bearer(given.tToken))
  expect(chat).toMatchObject({ id: given.st, lastMessage: 'When shall we meet?', unreadCount: 1 })
  expect(
    await curl('-X', 'PATCH', `${at.root}/chat/conversations/${given.st}/read`, ...bearer(given.tToken)),
  ).toEqual({
    success: true,
    message: 'Conversation marked as read',
  })
  const [row] = await curl(`${at.root}/chat/messages/${given.st}`, ...bearer(given.sToken))
  expect(row).toMatchObject({ message: 'When shall we meet?', read: true })
})

const noBooking = 'Cannot send message. You must have a confirmed booking with this user.'
const auth = (one = '') => ({ authorization: `Bearer ${one}` })
const nest = (depth: number): unknown => (depth === 0 ? 'x' : { deeper: nest(depth - 1) })
const lookUpMount = (url: string) => `tutorgo:0?bookingsUrl=${encodeURIComponent(url)}`

async function lookUpCast(server: TestServer) {
  const given = await cast(server.running.demo?.identitySecret ?? '')
  return { root: server.running.mounts[0]?.url ?? '', given }
}

const post = (url: string, one: string | undefined, body: unknown) =>
  fetch(url, {
    method: 'POST',
    headers: { ...auth(one), 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

async function book(root: string, given: Record<string, string>, booking: unknown): Promise<void> {
  expect((await post(`${root}/chat/bookings`, given.adminToken, booking)).status).toBe(200)
}

async function idOf(externalId: string | undefined): Promise<string> {
  const [person] = await peopleByExternalIds(demo.running.parley.chat.db, demo.workspaceId, [
    externalId ?? '',
  ])
  return person?.id ?? ''
}

type Told = { id?: string; url?: string; attachments?: Told[] }
type BookingsService = AsyncDisposable & { url: string; says: unknown; isSilent: boolean; asked: string[][] }

async function bookingsService(): Promise<BookingsService> {
  const server = createServer((request, response) => {
    service.asked.push(new URL(request.url ?? '', 'http://here').searchParams.getAll('userId'))
    if (!service.isSilent) response.end(JSON.stringify(service.says))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const service: BookingsService = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/bookings?key=abc`,
    says: [],
    isSilent: false,
    asked: [],
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
  return service
}

/** A client as the old front end connects: socket.io-client, with the token in `auth`. */
class Client implements AsyncDisposable {
  readonly socket: Socket
  readonly #heard: [name: string, payload: Record<string, string>][] = []

  static async open(base: string, one: string | undefined, transports = ['websocket']): Promise<Client> {
    const client = new Client(
      io(base, { auth: { token: one }, transports, reconnection: false, forceNew: true }),
    )
    await new Promise<void>((resolve, reject) => {
      client.socket.once('connect', resolve).once('connect_error', reject)
    })
    return client
  }

  constructor(socket: Socket) {
    this.socket = socket
    socket.onAny((name, payload) => this.#heard.push([name, payload]))
  }

  get isOpen(): boolean {
    return this.socket.connected
  }

  get transport(): string {
    return this.socket.io.engine.transport.name
  }

  send(conversationId = '', receiverId = '', message = '', more = {}): Promise<unknown> {
    return this.socket
      .timeout(5_000)
      .emitWithAck('send-message', { conversationId, receiverId, message, ...more })
  }

  all(name: string): Record<string, string>[] {
    return this.#heard.flatMap(([of, payload]) => (of === name ? [payload] : []))
  }

  async heard(name: string): Promise<Record<string, unknown>> {
    await expect.poll(() => this.all(name).length, { timeout: 5_000 }).toBeGreaterThan(0)
    return this.all(name)[0] ?? {}
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close()
  }
}
