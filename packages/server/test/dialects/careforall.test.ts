import { execFile } from 'node:child_process'
import { createHmac, createSecretKey, generateKeyPairSync, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import Fastify, { type FastifyInstance } from 'fastify'
import { SignJWT } from 'jose'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { Failure } from '../../src/chat/failure.ts'
import { frameOf, refusalOf } from '../../src/dialects/careforall/refusals.ts'
import { routes } from '../../src/dialects/careforall/routes.ts'
import type { Door } from '../../src/dialects/door.ts'
import { exitOf, makePlace, type Person, spawnMain, startServer, type TestServer } from '../../src/testing.ts'
import { readFixtures, readRows, replay } from './replay.ts'

const dialect = 'careforall'
const fixtures = readFixtures(dialect)

let server: TestServer
let base: string
let root: string
let strict: string
let limited: string
let secret: string

beforeAll(async () => {
  server = await startServer({
    args: ['--demo'],
    env: {
      PARLEY_MOUNTS: `${dialect}:0,${dialect}:0?closed=reject&origins=https://care.example,${dialect}:0?requestLimit=3`,
    },
  })
  base = `${server.url}/${dialect}`
  const [first, second, third] = server.running.mounts
  root = first?.url ?? ''
  strict = second?.url ?? ''
  limited = third?.url ?? ''
  secret = server.running.demo?.identitySecret ?? ''
})
afterAll(() => server[Symbol.asyncDispose]())

type Claims = Record<string, unknown>

const sign = (claims: Claims, expires: string | number = '15m', key = secret) =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt()
    .setExpirationTime(expires)
    .sign(createSecretKey(key, 'utf8'))

const user = (userId: string) => sign({ userId, role: 'USER', email: null, isGuest: false })
const admin = (userId: string) => sign({ userId, role: 'ADMIN' })

/** A cast of its own for each replay, since people stay. */
async function cast(): Promise<Record<string, string>> {
  const [ana, bo, one, two] = ['ana', 'bo', 'admin', 'second'].map((name) => `${name}-${randomUUID()}`)
  if (!ana || !bo || !one || !two) throw new Error('The cast is incomplete')
  const unsigned = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  return {
    ana,
    bo,
    admin: one,
    secondAdmin: two,
    anaToken: await user(ana),
    boToken: await user(bo),
    adminToken: await admin(one),
    secondAdminToken: await admin(two),
    expiredToken: await sign({ userId: ana }, Math.floor(Date.now() / 1000) - 60),
    foreignToken: await sign({ userId: ana }, '15m', randomUUID() + randomUUID()),
    futureToken: await sign({ userId: ana, nbf: Math.floor(Date.now() / 1000) + 3_600 }),
    namelessToken: await sign({ sub: ana }),
    numberToken: await sign({ userId: 12 }),
    emptyToken: await sign({ userId: ' ' }),
    overAMebibyte: 'y'.repeat(1_100_000),
    noneToken: `${unsigned({ alg: 'none' })}.${unsigned({ userId: ana, role: 'ADMIN' })}.`,
  }
}

describe('recorded exchanges', () => {
  test.for(fixtures)('at the prefix: $title', async (fixture) => {
    await replay(fixture, base, { ...(await cast()), mount: `/${dialect}` })
  })

  test.for(fixtures)('at a root mount: $title', async (fixture) => {
    await replay(fixture, root, { ...(await cast()), mount: '' })
  })

  test('every row of the tables is shown by an exchange, and no exchange shows a row that is not there', () => {
    const covered = new Set(fixtures.flatMap(({ covers }) => covers))
    expect([...covered].sort()).toEqual(readRows(dialect).sort())
  })
})

type Answer = { status: number; body: { success: boolean; data?: Claims; error?: Claims }; headers: Headers }

async function call(token: string, method: string, path: string, body?: unknown, at = base): Promise<Answer> {
  const response = await fetch(`${at}/api/conversations${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return {
    status: response.status,
    body: (await response.json()) as Answer['body'],
    headers: response.headers,
  }
}

async function open(token: string, at = base): Promise<string> {
  const { status, body } = await call(token, 'POST', '', {}, at)
  expect(status).toBe(201)
  return String(body.data?.conversationId)
}

/** A socket and what it heard. */
class Line {
  readonly heard: Claims[] = []
  readonly socket: WebSocket
  isClosed = false

  constructor(id: string, token: string, at = base) {
    this.socket = new WebSocket(`${at.replace('http', 'ws')}/ws/conversations/${id}?token=${token}`)
    this.socket.on('message', (data) => this.heard.push(JSON.parse(data.toString())))
    this.socket.on('close', () => {
      this.isClosed = true
    })
    this.socket.on('error', () => {})
  }

  say(frame: unknown): void {
    this.socket.send(JSON.stringify(frame))
  }

  async hears(type: string): Promise<Claims> {
    await expect.poll(() => this.heard.map((frame) => frame.type), { timeout: 5_000 }).toContain(type)
    return this.heard.find((frame) => frame.type === type) ?? {}
  }

  static async open(id: string, token: string, at = base): Promise<Line> {
    const line = new Line(id, token, at)
    await line.hears('system')
    return line
  }
}

const errorOf = ({ status, body }: Answer) => [status, body.error?.code]

describe('who comes', () => {
  test('only the role ADMIN, written so, makes an admin', async () => {
    const id = await open(await user(randomUUID()))
    for (const role of ['admin', 'Admin', 'ADMIN ', ['ADMIN'], true, 'CAMPAIGN_OWNER', undefined]) {
      const token = await sign({ userId: randomUUID(), role })
      expect(errorOf(await call(token, 'GET', `/${id}`))).toEqual([404, 'NOT_FOUND'])
      expect(errorOf(await call(token, 'POST', `/${id}/assign`))).toEqual([403, 'FORBIDDEN'])
      expect(await open(token)).toMatch(/^conv_/)
    }
  })

  test('an RSA key is believed with its issuer and audience only, and never as a shared secret', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const owner = await server.person('owner')
    const audience = `care-for-all-api-${randomUUID()}`
    await owner.call('identityKey.create', {
      kind: 'rs256',
      // As a variable of the environment holds it: newlines are the two characters \n.
      publicKey: pem.trim().replaceAll('\n', '\\n'),
      userIdClaim: 'userId',
      issuer: 'care-for-all-auth',
      audience,
      staffRoles: { ADMIN: 'admin' },
    })
    const rsa = (issuer: string, to: string) =>
      new SignJWT({ userId: 'rsa-user', role: 'USER' })
        .setProtectedHeader({ alg: 'RS256' })
        .setIssuer(issuer)
        .setAudience(to)
        .setExpirationTime('15m')
        .sign(privateKey)
    expect((await call(await rsa('care-for-all-auth', audience), 'GET', '')).status).toBe(200)
    expect((await call(await rsa('somebody', audience), 'GET', '')).status).toBe(401)
    expect((await call(await rsa('care-for-all-auth', 'elsewhere'), 'GET', '')).status).toBe(401)
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const content = `${part({ alg: 'HS256' })}.${part({ userId: 'x', role: 'ADMIN', iss: 'care-for-all-auth', aud: audience })}`
    const confused = `${content}.${createHmac('sha256', pem).update(content).digest('base64url')}`
    expect((await call(confused, 'GET', '')).status).toBe(401)
  })

  test('a key without issuer and audience looks at neither', async () => {
    const token = await new SignJWT({ userId: randomUUID(), role: 'USER' })
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer('whoever')
      .setAudience('whatever')
      .setExpirationTime('15m')
      .sign(createSecretKey(secret, 'utf8'))
    expect((await call(token, 'GET', '')).status).toBe(200)
  })

  test('keys that a token brings along, or points at, are not looked at', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const jwk = { ...publicKey.export({ format: 'jwk' }), alg: 'RS256', kid: 'own' }
    const asked: string[] = []
    const keys = createServer((request, response) => {
      asked.push(request.url ?? '')
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ keys: [jwk] }))
    })
    await new Promise<void>((resolve) => keys.listen(0, '127.0.0.1', resolve))
    try {
      const jku = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/keys`
      for (const header of [{ jwk }, { jku, kid: 'own' }, { x5u: jku }, { kid: '../../../../dev/null' }]) {
        const token = await new SignJWT({ userId: randomUUID(), role: 'ADMIN' })
          .setProtectedHeader({ alg: 'RS256', ...header })
          .setExpirationTime('15m')
          .sign(privateKey)
        expect(errorOf(await call(token, 'GET', '')), JSON.stringify(header)).toEqual([401, 'UNAUTHORIZED'])
      }
      const empty = await new SignJWT({ userId: randomUUID(), role: 'ADMIN' })
        .setProtectedHeader({ alg: 'HS256', kid: '/dev/null' })
        .setExpirationTime('15m')
        .sign(new Uint8Array(32))
      expect(errorOf(await call(empty, 'GET', ''))).toEqual([401, 'UNAUTHORIZED'])
      expect(asked).toEqual([])
    } finally {
      keys.close()
    }
  })

  test('switching somebody off ends their requests and their sockets within two seconds', async () => {
    const userId = `gone-${randomUUID()}`
    const token = await user(userId)
    const id = await open(token)
    const line = await Line.open(id, token)
    const owner = await server.person('owner')
    const { conversation } = await owner.call('conversation.get', { conversationId: id.slice(5) })
    await owner.call('user.update', { userId: String(conversation.createdBy), active: false })
    await expect.poll(() => line.isClosed, { timeout: 2_000 }).toBe(true)
    expect(line.heard.at(-1)).toEqual({
      type: 'error',
      code: 'INVALID_TOKEN',
      message: 'Invalid or expired token',
    })
    expect((await call(token, 'GET', '')).status).toBe(401)
  })

  test('who was an admin sees nothing foreign any more when a token says so', async () => {
    const id = await open(await user(randomUUID()))
    const userId = randomUUID()
    expect((await call(await admin(userId), 'GET', `/${id}`)).status).toBe(200)
    const lowered = await sign({ userId, role: 'USER', n: 1 })
    expect(errorOf(await call(lowered, 'GET', `/${id}`))).toEqual([404, 'NOT_FOUND'])
  })

  test('two tokens of one person that disagree do not chase each other', async () => {
    const userId = `torn-${randomUUID()}`
    const asUser = await user(userId)
    const id = await open(asUser)
    const one = await Line.open(id, asUser)
    const two = await Line.open(id, await admin(userId))
    await wait(300)
    one.say({ type: 'ping' })
    two.say({ type: 'ping' })
    await one.hears('pong')
    await two.hears('pong')
    const { chat } = server.running.parley
    const person = await chat.db
      .selectFrom('person')
      .select('id')
      .where('external_id', '=', userId)
      .executeTakeFirstOrThrow()
    const entries = await chat.db
      .selectFrom('audit_entry')
      .select('id')
      .where('target_id', '=', person.id)
      .execute()
    expect(entries.length).toBeLessThanOrEqual(2)
  })
})

describe('a conversation', () => {
  test('with closed=reject, a closed one refuses on REST and on the socket, and takes messages again when active', async () => {
    const token = await user(randomUUID())
    const id = await open(token, strict)
    const line = await Line.open(id, token, strict)
    await call(token, 'PUT', `/${id}`, { status: 'CLOSED' }, strict)
    expect(errorOf(await call(token, 'POST', `/${id}/messages`, { content: 'x' }, strict))).toEqual([
      409,
      'CONVERSATION_CLOSED',
    ])
    line.say({ type: 'message', content: 'x' })
    expect(await line.hears('error')).toMatchObject({ code: 'CONVERSATION_CLOSED' })
    await call(token, 'PUT', `/${id}`, { status: 'ACTIVE' }, strict)
    expect((await call(token, 'POST', `/${id}/messages`, { content: 'x' }, strict)).status).toBe(201)
  })

  test('origins named in the mount may send credentials, others are not echoed', async () => {
    const from = async (origin: string) => (await fetch(`${strict}/health`, { headers: { origin } })).headers
    expect((await from('https://care.example')).get('access-control-allow-origin')).toBe(
      'https://care.example',
    )
    expect((await from('https://care.example')).get('access-control-allow-credentials')).toBe('true')
    expect((await from('https://evil.example')).get('access-control-allow-origin')).toBeNull()
  })

  test('is the same one for an agent at the desk: answers, notes and receipts', async () => {
    const token = await user(`desk-${randomUUID()}`)
    const id = await open(token)
    const conversationId = id.slice(5)
    const line = await Line.open(id, token)
    const agent = await server.person('agent', 'Sam')
    line.say({ type: 'message', content: 'Is anybody there?' })
    const { messageId } = await line.hears('message_sent')
    const { messages } = await agent.call('message.list', { conversationId })
    expect(messages.map((message) => [`msg_${message.id}`, message.body])).toEqual([
      [messageId, 'Is anybody there?'],
    ])
    await agent.call('message.note', { conversationId, clientMessageId: randomUUID(), body: 'not for you' })
    await agent.send(conversationId, 'I am')
    expect(await line.hears('message_received')).toMatchObject({
      content: 'I am',
      senderId: agent.userId,
      senderRole: 'ADMIN',
    })
    await agent.call('receipt.markAllRead', { conversationId })
    expect(await line.hears('read_receipt')).toMatchObject({ messageId, userId: agent.userId })
    expect(JSON.stringify(line.heard)).not.toContain('not for you')
    const history = await call(token, 'GET', `/${id}/messages`)
    expect(history.body.data).toMatchObject({ pagination: { total: 2 } })
    const list = await call(token, 'GET', '')
    expect(list.body.data).toMatchObject({ conversations: [{ unreadCount: 1 }] })
  })

  test('several tabs of an admin bring them in once', async () => {
    const token = await user(randomUUID())
    const id = await open(token)
    const ana = await Line.open(id, token)
    const boss = await admin(`boss-${randomUUID()}`)
    await Promise.all([1, 2, 3].map(() => Line.open(id, boss)))
    await wait(150)
    expect(ana.heard.filter((frame) => frame.type === 'user_joined')).toHaveLength(1)
    const { body } = await call(token, 'GET', `/${id}`)
    expect(body.data?.participants).toHaveLength(2)
  })

  test('keeps the order in which one socket speaks, and answers each frame once', async () => {
    const token = await user(randomUUID())
    const id = await open(token)
    const line = await Line.open(id, token)
    const watcher = await Line.open(id, token)
    const said = Array.from({ length: 100 }, (_, i) => `line ${i}`)
    for (const content of said) line.say({ type: 'message', content })
    const heardBy = ({ heard }: Line, type: string) =>
      heard.filter((frame) => frame.type === type).map((frame) => frame.content)
    await expect.poll(() => heardBy(line, 'message_sent'), { timeout: 10_000 }).toEqual(said)
    await expect.poll(() => heardBy(watcher, 'message_received'), { timeout: 10_000 }).toEqual(said)
    expect(heardBy(line, 'message_received')).toEqual([])
  })

  test('is listed and read a hundred at a time, however many are asked for', async () => {
    const token = await user(randomUUID())
    const id = await open(token)
    const inTurn = async (count: number, work: (i: number) => Promise<unknown>) => {
      for (let at = 0; at < count; at += 20)
        await Promise.all(Array.from({ length: Math.min(20, count - at) }, (_, i) => work(at + i)))
    }
    await inTurn(101, (i) => call(token, 'POST', `/${id}/messages`, { content: `line ${i}` }))
    await inTurn(100, () => open(token))
    const listed = await call(token, 'GET', '?limit=1000')
    expect(listed.body.data?.conversations).toHaveLength(100)
    expect(listed.body.data?.pagination).toEqual({ total: 101, page: 1, limit: 100 })
    const last = await call(token, 'GET', '?limit=1000&page=2')
    expect(last.body.data?.conversations).toHaveLength(1)
    const read = await call(token, 'GET', `/${id}/messages?limit=101`)
    expect(read.body.data?.messages).toHaveLength(100)
    expect(read.body.data?.pagination).toEqual({ total: 101, page: 1, limit: 100 })
    const oldest = await call(token, 'GET', `/${id}/messages?limit=101&page=2`)
    expect(oldest.body.data?.messages).toHaveLength(1)
  })

  test('refuses a flood on a socket that stays open', async () => {
    const token = await user(randomUUID())
    const id = await open(token)
    const line = new Line(id, token)
    await new Promise((resolve) => line.socket.once('open', resolve))
    for (let i = 0; i < 600; i++) line.say({ type: 'message', content: `flood ${i}` })
    expect(await line.hears('error')).toMatchObject({ code: 'RATE_LIMITED' })
    expect(line.heard[0]).toMatchObject({ type: 'system' })
    await wait(1_000)
    line.say({ type: 'ping' })
    await line.hears('pong')
  })
})

describe('with requestLimit', () => {
  test('whoever asks more often in a minute is told when to come back, and others are not held up', async () => {
    const token = await user(randomUUID())
    const id = await open(token, limited)
    const line = await Line.open(id, token, limited)
    expect((await call(token, 'GET', '', undefined, limited)).status).toBe(200)
    expect((await call(token, 'POST', `/${id}/messages`, { content: 'one' }, limited)).status).toBe(201)
    for (const [method, path, body] of [
      ['GET', '', undefined],
      ['POST', '', {}],
      ['POST', `/${id}/messages`, { content: 'two' }],
      ['PUT', `/${id}/read`, undefined],
    ] as const) {
      const refused = await call(token, method, path, body, limited)
      expect([refused.status, refused.body], `${method} ${path}`).toEqual([
        429,
        {
          success: false,
          error: { code: 'RATE_LIMITED', message: 'Too many requests, please slow down' },
        },
      ])
      const seconds = Number(refused.headers.get('retry-after'))
      expect(seconds).toBeGreaterThanOrEqual(1)
      expect(seconds).toBeLessThanOrEqual(60)
    }
    // Not applied; the same person elsewhere, and others here, may ask.
    const history = await call(token, 'GET', `/${id}/messages`)
    expect(history.body.data).toMatchObject({ pagination: { total: 1 } })
    expect((await call(await user(randomUUID()), 'GET', '', undefined, limited)).status).toBe(200)
    line.say({ type: 'message', content: 'by the socket' })
    await line.hears('message_sent')
  })

  test('it holds at the prefix in the same words', async () => {
    const env = { PARLEY_MOUNTS: `${dialect}?requestLimit=1` }
    await using own = await startServer({ args: ['--demo'], env })
    const token = await sign({ userId: 'ana' }, '15m', own.running.demo?.identitySecret)
    const at = `${own.url}/${dialect}`
    expect((await call(token, 'GET', '', undefined, at)).status).toBe(200)
    const refused = await call(token, 'GET', '', undefined, at)
    expect(errorOf(refused)).toEqual([429, 'RATE_LIMITED'])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  })

  test('and without it the usual limit holds where limits are on', async () => {
    const app = Fastify({ logger: false })
    const { chat } = server.running.parley
    const config = { ...chat.config, rateLimit: true }
    const mount = { dialect, workspaceId: server.workspaceId, base: '', options: {} }
    const door = { mount, chat: { ...chat, config }, log: server.running.parley.log } as unknown as Door
    await routes(app as unknown as FastifyInstance, door)
    const answer = await app.inject({
      url: '/api/conversations',
      headers: { authorization: `Bearer ${await user(randomUUID())}` },
    })
    expect([answer.statusCode, answer.headers['x-ratelimit-limit']]).toEqual([200, '6000'])
    await app.close()
  })
})

describe('what goes wrong on our side', () => {
  const door = {
    mount: { dialect, workspaceId: randomUUID(), base: '', options: {} },
    chat: { db: undefined, config: { rateLimit: false } },
    log: pino({ level: 'silent' }),
  } as unknown as Door

  test('is said in the words of the route, without our insides', async () => {
    const app = Fastify({ logger: false })
    await routes(app as unknown as FastifyInstance, door)
    const texts: [string, string, string][] = [
      ['GET', '', 'Failed to list conversations'],
      ['POST', '', 'Failed to create conversation'],
      ['GET', '/x', 'Failed to get conversation'],
      ['PUT', '/x', 'Failed to update conversation'],
      ['POST', '/x/assign', 'Failed to assign admin'],
      ['PUT', '/x/read', 'Failed to mark conversation as read'],
      ['GET', '/x/messages', 'Failed to list messages'],
      ['POST', '/x/messages', 'Failed to send message'],
    ]
    for (const [method, path, message] of texts) {
      const answer = await app.inject({
        method: method as 'GET',
        url: `/api/conversations${path}`,
        headers: { authorization: `Bearer ${await user('x')}` },
      })
      expect([answer.statusCode, answer.json()]).toEqual([
        500,
        { success: false, error: { code: 'INTERNAL_ERROR', message } },
      ])
    }
    const health = await app.inject({ url: '/health' })
    expect(health.statusCode).toBe(503)
    expect(health.json()).toEqual({
      status: 'unhealthy',
      service: 'chat-service',
      version: '1.0.0',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      uptime: expect.any(Number),
      database: { healthy: false, message: 'Database is not reachable' },
    })
    await app.close()
  })

  test('is said on a socket that stays open, and takes the next message', async () => {
    const token = await user(randomUUID())
    const id = await open(token)
    const line = await Line.open(id, token)
    const { chat } = server.running.parley
    const { sends } = chat
    Object.assign(chat, { sends: { append: () => Promise.reject(new Error('insides')) } })
    try {
      line.say({ type: 'message', content: 'lost' })
      expect(await line.hears('error')).toEqual({
        type: 'error',
        code: 'INTERNAL_ERROR',
        message: 'An error occurred processing your message',
      })
      const rest = await call(token, 'POST', `/${id}/messages`, { content: 'lost' })
      expect([rest.status, rest.body.error]).toEqual([
        500,
        { code: 'INTERNAL_ERROR', message: 'Failed to send message' },
      ])
    } finally {
      Object.assign(chat, { sends })
    }
    line.say({ type: 'message', content: 'found' })
    expect(await line.hears('message_sent')).toMatchObject({ content: 'found' })
    expect(line.isClosed).toBe(false)
  })

  test('and what is only busy says when to come back', () => {
    expect(refusalOf(new Failure('rate_limited', { retryAfter: 7 }))).toMatchObject({
      status: 429,
      code: 'RATE_LIMITED',
      retryAfter: 7,
    })
    expect(refusalOf(new Failure('overloaded'))).toMatchObject({ status: 503, retryAfter: 1 })
    expect(refusalOf(new Error('insides'))).toBeUndefined()
    expect(frameOf(new Error('insides'))).toEqual({
      type: 'error',
      code: 'INTERNAL_ERROR',
      message: 'An error occurred processing your message',
    })
    expect(frameOf(new Failure('rate_limited')).code).toBe('RATE_LIMITED')
  })
})

test('the walkthrough: curl opens a conversation and writes, a WebSocket client talks, an admin answers', async () => {
  const token = await user('user-1')
  const curl = async (...args: string[]) =>
    JSON.parse(
      (await promisify(execFile)('curl', ['-s', '-H', `Authorization: Bearer ${token}`, ...args])).stdout,
    )
  const json = ['-H', 'Content-Type: application/json']
  const api = `${root}/api/conversations`
  const opened = await curl('-X', 'POST', ...json, '-d', '{"subject":"My donation"}', api)
  expect(opened).toMatchObject({ success: true, data: { subject: 'My donation', status: 'ACTIVE' } })
  const id = opened.data.conversationId
  expect(await curl(...json, `${api}?page=1&limit=20&status=ACTIVE`)).toMatchObject({
    data: { conversations: [{ conversationId: id }] },
  })
  const line = await Line.open(id, token, root)
  const boss = await Line.open(id, await admin('admin-1'), root)
  expect(await line.hears('user_joined')).toEqual({ type: 'user_joined', userId: 'admin-1', role: 'ADMIN' })
  await curl('-X', 'POST', ...json, '-d', '{"content":"Did it arrive?"}', `${api}/${id}/messages`)
  const { messageId } = await boss.hears('message_received')
  boss.say({ type: 'read', messageId })
  expect(await line.hears('read_receipt')).toMatchObject({ messageId, userId: 'admin-1' })
  boss.say({ type: 'message', content: 'It did, thank you.' })
  expect(await line.hears('message_received')).toMatchObject({ content: 'Did it arrive?' })
  await expect.poll(() => line.heard.map((frame) => frame.content)).toContain('It did, thank you.')
  expect(await curl('-X', 'PUT', ...json, `${api}/${id}/read`)).toMatchObject({ success: true })
  expect(await curl('-X', 'PUT', ...json, '-d', '{"status":"CLOSED"}', `${api}/${id}`)).toMatchObject({
    data: { status: 'CLOSED' },
  })
})

test('tokens in addresses never reach a log line, at any level', async () => {
  const place = await makePlace()
  const spawned = spawnMain(place, { LOG_LEVEL: 'trace' })
  const said: string[] = []
  spawned.stdout?.on('data', (data) => said.push(String(data)))
  spawned.stderr?.on('data', (data) => said.push(String(data)))
  try {
    await expect.poll(() => said.join(''), { timeout: 30_000 }).toMatch(/Parley is at http\S+/)
    const url = /Parley is at (\S+)/.exec(said.join(''))?.[1] ?? ''
    const token = await user('somebody-who-is-not-to-be-read-about')
    const line = new Line(`conv_${randomUUID()}`, token, `${url}/${dialect}`)
    expect(await line.hears('error')).toMatchObject({ code: 'INVALID_TOKEN' })
    await fetch(`${url}/${dialect}/api/conversations?token=${token}`)
    await fetch(`${url}/${dialect}/ws/conversations/x?token=${token}`)
    await wait(200)
    expect(said.join('')).not.toContain(token.slice(0, 60))
  } finally {
    spawned.kill('SIGKILL')
    await exitOf(spawned)
    await place.remove()
  }
})

describe('bad input', () => {
  const bodies = [
    '',
    '{',
    '[]',
    'null',
    '"x"',
    '7',
    '{"content":{}}',
    '{"content":"\\u0000"}',
    '{"subject":[]}',
    '{"metadata":"x"}',
    '{"__proto__":{"status":"CLOSED"}}',
    '{"constructor":1}',
    `{"metadata":{"x":"${'y'.repeat(20_000)}"}}`,
    '\u0000',
    '{"status":"deleted"}',
    '{"adminId":{}}',
    '{"participants":"all"}',
    `${'['.repeat(5_000)}${']'.repeat(5_000)}`,
  ]

  test('is answered in this dialect’s shape, never with 5xx', async () => {
    const token = await user(randomUUID())
    const id = await open(token)
    const strange = [
      '%00',
      '%ff',
      '..%2f..%2fhealth',
      'conv_',
      `conv_${id.slice(5).toUpperCase()}`,
      `${id}%00`,
      `${id}'--`,
      `${id}:${id}`,
      'x'.repeat(500),
    ]
    for (const name of [id, ...strange]) {
      for (const [method, tail] of [
        ['PUT', ''],
        ['POST', '/messages'],
        ['POST', '/assign'],
        ['PUT', '/read'],
        ['GET', ''],
        ['GET', '/messages?page=1e99&limit=NaN&before=%00'],
      ] as const) {
        for (const body of method === 'GET' ? [undefined] : bodies) {
          const response = await fetch(`${base}/api/conversations/${name}${tail}`, {
            method,
            headers: { authorization: `Bearer ${token}` },
            ...(body !== undefined && { body }),
          })
          const text = await response.text()
          expect(response.status, `${method} ${name}${tail} ${body?.slice(0, 50)}: ${text}`).toBeLessThan(500)
          if (response.status >= 400)
            expect(JSON.parse(text)).toMatchObject({ error: { code: expect.any(String) } })
        }
      }
    }
    expect((await call(token, 'POST', `/${id}/messages`, { content: 'still well' })).status).toBe(201)
  })

  test('another workspace’s conversations are not there, by REST or by socket', async () => {
    const { workspaceId } = await server.workspace()
    const other: Person = await server.person('owner', 'Other', workspaceId)
    const { conversation } = await other.call('conversation.create', { kind: 'support' })
    const token = await admin(randomUUID())
    const id = `conv_${conversation.id}`
    for (const [method, tail] of [
      ['GET', ''],
      ['PUT', ''],
      ['POST', '/assign'],
      ['PUT', '/read'],
      ['GET', '/messages'],
      ['POST', '/messages'],
    ] as const) {
      const body = method === 'GET' ? undefined : { content: 'hello' }
      expect(errorOf(await call(token, method, `/${id}${tail}`, body)), `${method} ${tail}`).toEqual([
        404,
        'NOT_FOUND',
      ])
    }
    const line = new Line(id, token)
    expect(await line.hears('error')).toMatchObject({ code: 'UNAUTHORIZED' })
    await expect.poll(() => line.isClosed).toBe(true)
  })

  test('frames after closing have no effect, and a deleted conversation sends its sockets away', async () => {
    const token = await user(randomUUID())
    const id = await open(token)
    const line = await Line.open(id, token)
    const owner = await server.person('owner')
    await owner.call('conversation.delete', { conversationId: id.slice(5) })
    expect(await line.hears('error')).toMatchObject({ code: 'UNAUTHORIZED' })
    await expect.poll(() => line.isClosed).toBe(true)
    expect(errorOf(await call(token, 'GET', `/${id}`))).toEqual([404, 'NOT_FOUND'])
  })
})

test('people who register with this product’s own API are nobody here: the dialect has no sign-up to misuse', async () => {
  const plain = await startServer()
  try {
    for (const path of ['/api/auth/register', '/api/register', '/api/auth/login']) {
      const answer = await fetch(`${plain.url}/${dialect}${path}`, {
        method: 'POST',
        body: '{"role":"ADMIN"}',
      })
      expect([answer.status, await answer.text()]).toEqual([404, '404 Not Found'])
    }
    const person = await plain.person('admin')
    const answer = await fetch(`${plain.url}/${dialect}/api/conversations`, {
      headers: { authorization: `Bearer ${person.token}` },
    })
    expect(answer.status).toBe(401)
  } finally {
    await plain[Symbol.asyncDispose]()
  }
})
