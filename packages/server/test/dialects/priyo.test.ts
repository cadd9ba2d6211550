import { randomUUIDv7 } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Role } from '@parley/protocol'
import { io } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { beginSession, openSession } from '../../src/chat/sessions.ts'
import { idOf, uuidOf } from '../../src/dialects/priyo/ids.ts'
import { TokenMint } from '../../src/dialects/priyo/tokens.ts'
import { Person, startServer, type TestServer } from '../../src/testing.ts'
import { type Fixture, readFixtures, readRows, replay } from './replay.ts'

type Where = 'prefix' | 'root'
type Stage = { server: TestServer; bases: Record<Where, string>; mint: TokenMint }

/** `open` honours every role at sign-up; `usual` does not; `strict` lets an address ask three times. */
let open: Stage
let usual: Stage
let strict: Stage

beforeAll(async () => {
  open = await stage({ args: ['--demo'], env: { PARLEY_MOUNTS: 'priyo:0' } })
  usual = await stage({ env: { PARLEY_MOUNTS: 'priyo:0' } })
  strict = await stage({ env: { PARLEY_MOUNTS: 'priyo:0?limit=3,priyo?limit=3', RATE_LIMIT: 'on' } })
}, 120_000)

afterAll(async () => {
  for (const { server } of [open, usual, strict]) await server[Symbol.asyncDispose]()
})

async function stage(options: Parameters<typeof startServer>[0]): Promise<Stage> {
  const server = await startServer(options)
  const { chat } = server.running.parley
  const mint = await TokenMint.of(chat, server.workspaceId, { access: 900, refresh: 900 })
  const root = server.running.mounts[0]?.url ?? ''
  return { server, bases: { prefix: `${server.url}/priyo`, root }, mint }
}

/** Four people of one exchange, somebody who is gone, and the id of somebody from elsewhere. */
async function castOf({ server, mint }: Stage, run: string): Promise<Record<string, string>> {
  const given: Record<string, string> = { run, large: 'x'.repeat(5_300_000) }
  const roles: Record<string, Role> = {
    ana: 'contact',
    ben: 'contact',
    sam: 'agent',
    ada: 'admin',
    gone: 'contact',
  }
  for (const [name, role] of Object.entries(roles)) {
    const person = await person_(server, role, `${name}${run}`)
    given[name] = await mint.sign('access', person, await beginSession(server.running.parley.chat.db, person))
    given[`${name}Id`] = idOf(person.id)
    given[`${name}Name`] = String(person.username)
    given[`${name}Email`] = String(person.email)
    if (name === 'gone') await switchOff(server, person.id)
  }
  const elsewhere = await server.workspace()
  const stranger = await person_(server, 'contact', `stranger${run}`, elsewhere.workspaceId)
  return { ...given, strangerId: idOf(stranger.id) }
}

function person_(server: TestServer, role: Role, username: string, workspaceId = server.workspaceId) {
  return server.running.parley.chat.db
    .insertInto('person')
    .values({
      workspace_id: workspaceId,
      id: randomUUIDv7(),
      role,
      name: username,
      username,
      email: `${username}@example.com`,
      verified: true,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

async function switchOff({ running, workspaceId }: TestServer, userId: string): Promise<void> {
  const { db } = running.parley.chat
  await db
    .updateTable('person')
    .set({ deactivated_at: new Date().toISOString() })
    .where('workspace_id', '=', workspaceId)
    .where('id', '=', userId)
    .execute()
}

const fixtures = readFixtures('priyo')

/** Two exchanges need another server than the demo: one that refuses roles (and is quiet), one that counts. */
const stageOf = ({ covers }: Fixture) =>
  covers.includes('error.429')
    ? strict
    : covers.includes('register.403') || covers.includes('rule.agent-side')
      ? usual
      : open

describe('the recorded exchanges', () => {
  for (const [i, fixture] of fixtures.entries()) {
    for (const where of ['prefix', 'root'] as const) {
      test(`${fixture.title} (${where})`, async () => {
        const here = stageOf(fixture)
        await replay(fixture, here.bases[where], await castOf(here, `${where}${i}`))
      })
    }
  }

  test('show each row of the dialect, and no other', () => {
    const rows = readRows('priyo')
    const shown = new Set(fixtures.flatMap((fixture) => fixture.covers))
    expect(rows.filter((row) => !shown.has(row))).toEqual([])
    expect([...shown].filter((row) => !rows.includes(row))).toEqual([])
    expect(new Set(rows).size).toBe(rows.length)
  })
})

// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by asserting it; a type would be a claim unchecked.
type Answer = { status: number; body: any }

async function ask(
  base: string,
  method: string,
  path: string,
  token?: string,
  body?: unknown,
): Promise<Answer> {
  const response = await fetch(`${base}${path}`, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(token && { authorization: `Bearer ${token}` }),
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const said = await response.text()
  return { status: response.status, body: said.startsWith('{') ? JSON.parse(said) : said }
}

describe('what the exchanges cannot say', () => {
  test('a newcomer’s walk: sign up, talk, answer and close, with plain requests and a socket', async () => {
    const { bases } = open
    const password = 'secret1'
    const sign = async (username: string, role?: string) =>
      (
        await ask(bases.root, 'POST', '/api/auth/register', undefined, {
          email: `${username}@example.com`,
          username,
          password,
          ...(role && { role }),
        })
      ).body
    const agent = await sign('walkagent', 'AGENT')
    const customer = await sign('walkcustomer')
    const { accessToken } = customer.tokens
    const opened = await ask(bases.root, 'POST', '/api/conversations', accessToken, {
      participantIds: [agent.user.id],
      type: 'DIRECT',
    })
    const conversationId: string = opened.body.conversation.id
    const socket = io(bases.root, { auth: { token: agent.tokens.accessToken }, transports: ['websocket'] })
    try {
      await once(socket as never, 'connect')
      expect(await socket.emitWithAck('conversation:join', conversationId)).toEqual({ ok: true })
      const heard = new Promise((resolve) => socket.once('message:new', resolve))
      await ask(bases.root, 'POST', '/api/messages', accessToken, { conversationId, content: 'Hello!' })
      expect(await heard).toMatchObject({ content: 'Hello!', senderUsername: 'walkcustomer' })
      expect(await socket.emitWithAck('message:send', { conversationId, content: 'Hi' })).toEqual({
        ok: true,
      })
      expect(await socket.emitWithAck('message:send', { conversationId, content: '' })).toEqual({
        ok: false,
        error: 'Failed to send message',
      })
    } finally {
      socket.disconnect()
    }
    const history = await ask(bases.root, 'GET', `/api/messages/${conversationId}`, accessToken)
    expect(history.body.messages.map((line: { content: string }) => line.content)).toEqual(['Hello!', 'Hi'])
    const closed = await ask(
      bases.root,
      'DELETE',
      `/api/conversations/${conversationId}`,
      agent.tokens.accessToken,
    )
    expect(closed.status).toBe(200)
  })

  test('a conversation is the same one natively, but for the notes of the team', async () => {
    const { server, bases } = open
    const given = await castOf(open, 'native')
    const { body } = await ask(bases.prefix, 'POST', '/api/conversations', given.sam, {
      participantIds: [given.anaId],
      type: 'GROUP',
      name: 'Both doors',
    })
    const conversationId = uuidOf(body.conversation.id) ?? ''
    const supervisor = await server.person('admin', 'Ada')
    const sam = await nativeSelf(open, given.samId)
    const socket = io(bases.prefix, { auth: { token: given.sam }, transports: ['websocket'], forceNew: true })
    try {
      const heard: string[] = []
      socket.on('message:new', (message: { content: string }) => heard.push(message.content))
      await once(socket as never, 'connect')
      await socket.emitWithAck('conversation:join', body.conversation.id)
      await supervisor.call('message.note', {
        conversationId,
        clientMessageId: crypto.randomUUID(),
        body: 'only us',
      })
      await supervisor.send(conversationId, 'for all')
      await expect.poll(() => heard).toEqual(['for all'])
    } finally {
      socket.disconnect()
    }
    const history = await ask(bases.prefix, 'GET', `/api/messages/${body.conversation.id}`, given.sam)
    expect(history.body.messages).toHaveLength(1)
    const list = await ask(bases.prefix, 'GET', '/api/conversations', given.sam)
    expect(list.body.conversations[0]).toMatchObject({ unreadCount: 1, lastMessage: { content: 'for all' } })
    await ask(bases.prefix, 'POST', '/api/messages/read', given.sam, {
      messageIds: [history.body.messages[0].id],
    })
    const { receipts } = await sam.call('receipt.list', { conversationId })
    const { lastSeq } = await sam.call('message.list', { conversationId })
    expect(receipts.find((one) => one.userId === sam.userId)?.read).toBe(lastSeq)
  })

  test('of two refreshes with one token exactly one wins, and the family ends', async () => {
    const user = { email: 'race@example.com', username: 'racer', password: 'secret1' }
    const { body } = await ask(open.bases.prefix, 'POST', '/api/auth/register', undefined, user)
    const { refreshToken } = body.tokens
    const refresh = (token: string) =>
      ask(open.bases.prefix, 'POST', '/api/auth/refresh', undefined, { refreshToken: token })
    const both = await Promise.all([refresh(refreshToken), refresh(refreshToken)])
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 403])
    const winner = both.find((answer) => answer.status === 200)
    expect((await refresh(winner?.body.tokens.refreshToken)).status).toBe(403)
    const { accessToken } = winner?.body.tokens ?? {}
    expect((await ask(open.bases.prefix, 'GET', '/api/auth/me', accessToken)).status).toBe(403)
  })

  test('two tokens of one second are two', async () => {
    const user = { email: 'twice@example.com', username: 'twice', password: 'secret1' }
    const { body } = await ask(open.bases.prefix, 'POST', '/api/auth/register', undefined, user)
    const login = await ask(open.bases.prefix, 'POST', '/api/auth/login', undefined, {
      email: user.email,
      password: user.password,
    })
    expect(login.body.tokens).not.toEqual(body.tokens)
    const claims = JSON.parse(Buffer.from(body.tokens.accessToken.split('.')[1], 'base64url').toString())
    expect(claims).toMatchObject({
      userId: body.user.id,
      email: user.email,
      username: 'twice',
      role: 'CUSTOMER',
      jti: expect.any(String),
    })
  })

  test('no other algorithm, key or workspace makes a token', async () => {
    const { ana = '' } = await castOf(open, 'forge')
    const [, payload = '', signature = ''] = ana.split('.')
    const head = (header: object) => Buffer.from(JSON.stringify(header)).toString('base64url')
    const elsewhere = await castOf(usual, 'forge')
    for (const token of [
      `${head({ alg: 'none' })}.${payload}.`,
      `${head({ alg: 'HS512', typ: 'JWT' })}.${payload}.${signature}`,
      `${head({ alg: 'HS256', typ: 'JWT' })}.${payload}.${signature.split('').reverse().join('')}`,
      elsewhere.ana,
      `dev-token-${(await castOf(open, 'forge2')).anaId}`,
    ]) {
      const answer = await ask(open.bases.prefix, 'GET', '/api/auth/me', token)
      expect(answer).toEqual({ status: 403, body: { error: 'Invalid or expired access token' } })
    }
  })

  test('modes of registration: nobody chooses staff without a grant, and nothing is stored', async () => {
    const user = { email: 'boss@example.com', username: 'bossy', password: 'secret1', role: 'ADMIN' }
    const refused = await ask(usual.bases.prefix, 'POST', '/api/auth/register', undefined, user)
    expect(refused.status).toBe(403)
    const again = await ask(usual.bases.prefix, 'POST', '/api/auth/register', undefined, {
      ...user,
      role: 'CUSTOMER',
    })
    expect(again.status).toBe(201)
    const { db } = usual.server.running.parley.chat
    for (const [mode, role, status] of [
      ['closed', 'CUSTOMER', 403],
      ['invite', 'CUSTOMER', 403],
      ['pending', 'AGENT', 201],
    ] as const) {
      await db
        .updateTable('workspace')
        .set({ registration: mode })
        .where('id', '=', usual.server.workspaceId)
        .execute()
      const answer = await ask(usual.bases.prefix, 'POST', '/api/auth/register', undefined, {
        email: `${mode}@example.com`,
        username: mode,
        password: 'secret1',
        role,
      })
      expect(answer.status).toBe(status)
      if (status === 201) expect(answer.body.user.role).toBe('CUSTOMER')
    }
    await db
      .updateTable('workspace')
      .set({ registration: 'customer_only' })
      .where('id', '=', usual.server.workspaceId)
      .execute()
  })

  test('bad input is refused in the dialect’s own shape, never with 5xx', async () => {
    const given = await castOf(open, 'bad')
    const { body } = await ask(open.bases.prefix, 'POST', '/api/conversations', given.ana, {
      participantIds: [given.samId],
      type: 'DIRECT',
    })
    const conversationId = body.conversation.id
    const deep = `${'['.repeat(40)}${']'.repeat(40)}`
    const bodies: unknown[] = [
      '{',
      '[]',
      'null',
      '"x"',
      deep,
      '{"conversationId":"\\ud800"}',
      { conversationId, content: { $ne: null } },
      { conversationId: [conversationId], content: 'x' },
      { conversationId: uuidOf(conversationId), content: 'x' },
      { conversationId: 'z'.repeat(25), content: 'x' },
      { conversationId, content: 'x', fileUrl: '/uploads/../../etc/passwd' },
      { conversationId, content: 'x', fileSize: -1 },
      { conversationId, content: 'x', __proto__x: 1, constructor: {} },
      JSON.stringify({ content: 'x'.repeat(1_100_000) }),
    ]
    for (const raw of bodies) {
      const answer = await ask(open.bases.prefix, 'POST', '/api/messages', given.ana, raw)
      expect(answer.status, JSON.stringify(raw).slice(0, 80)).toBeGreaterThanOrEqual(400)
      expect(answer.status, JSON.stringify(raw).slice(0, 80)).toBeLessThan(500)
      expect(answer.body).toMatchObject({ error: expect.any(String) })
      expect(JSON.stringify(answer.body)).not.toMatch(/at \w+ \(|select |\/work\//)
    }
    for (const id of ['..', '%00', "'; drop table message; --", '0'.repeat(500), idOf(randomUUIDv7())]) {
      for (const path of [
        `/api/messages/${encodeURIComponent(id)}`,
        `/api/conversations/${encodeURIComponent(id)}`,
      ]) {
        const answer = await ask(open.bases.root, 'GET', path, given.ana)
        expect([400, 404], path).toContain(answer.status)
      }
    }
    expect((await ask(open.bases.prefix, 'GET', '/health')).status).toBe(200)
  })

  test('nothing of another workspace is found by its id', async () => {
    const given = await castOf(open, 'iso')
    const elsewhere = await open.server.workspace()
    const other = await open.server.person('admin', 'Other', elsewhere.workspaceId)
    const { conversation } = await other.call('conversation.create', { kind: 'group' })
    const { id } = await other.send(conversation.id, 'secret')
    const chat = idOf(conversation.id)
    for (const [method, path, body] of [
      ['GET', `/api/conversations/${chat}`],
      ['GET', `/api/messages/${chat}`],
      ['POST', '/api/messages', { conversationId: chat, content: 'x' }],
      ['POST', `/api/conversations/${chat}/participants`, { participantIds: [given.anaId] }],
      ['DELETE', `/api/conversations/${chat}/participants/${given.anaId}`],
      ['DELETE', `/api/conversations/${chat}`],
    ] as const) {
      expect((await ask(open.bases.prefix, method, path, given.ada, body)).status, path).toBe(404)
    }
    const read = await ask(open.bases.prefix, 'POST', '/api/messages/read', given.ada, {
      messageIds: [idOf(id)],
    })
    expect(read).toEqual({ status: 400, body: { error: 'Some messages not found or access denied' } })
    const add = await ask(open.bases.prefix, 'POST', '/api/conversations', given.sam, {
      participantIds: [idOf(other.userId)],
      type: 'GROUP',
    })
    expect(add.status).toBe(400)
  })

  test('where an inbox asks for a proven identity, a visitorId is none', async () => {
    const { db } = usual.server.running.parley.chat
    const visitorId = 'visitor-with-twenty-characters'
    const begin = () => ask(usual.bases.prefix, 'POST', '/api/widget/conversation', undefined, { visitorId })
    const { body } = await begin()
    const page = io(usual.bases.prefix, {
      auth: { visitorId: 'default' },
      transports: ['websocket'],
      forceNew: true,
    })
    try {
      await once(page as never, 'connect')
      const set = (identity_required: boolean) =>
        db.updateTable('inbox').set({ identity_required }).where('id', '=', usual.server.inboxId).execute()
      await set(true)
      expect((await begin()).status).toBe(403)
      expect(await page.emitWithAck('conversation:join', body.conversation.id)).toMatchObject({ ok: false })
      await set(false)
      expect(await page.emitWithAck('conversation:join', body.conversation.id)).toEqual({ ok: true })
    } finally {
      page.disconnect()
    }
  })

  test('a host name of its own is a root, with its own words for what is not there', async () => {
    await using server = await startServer({ env: { PARLEY_MOUNTS: 'priyo@chat.example.com' } })
    const get = async (path: string, host: string) => {
      const [response] = await once(request(`${server.url}${path}`, { headers: { host } }).end(), 'response')
      return { status: response.statusCode, text: await text(response) }
    }
    expect(await get('/api/nothing', 'chat.example.com')).toEqual({
      status: 404,
      text: '{"error":"Route not found"}',
    })
    expect((await get('/api/auth/me', 'chat.example.com')).status).toBe(401)
    expect((await get('/api/auth/me', '127.0.0.1')).text).not.toContain('Access token required')
  })

  test('one new conversation of a visitor comes of many requests at once', async () => {
    const visitorId = 'many-at-once-0123456789abcdef'
    const begun = await Promise.all(
      Array.from({ length: 8 }, () =>
        ask(open.bases.prefix, 'POST', '/api/widget/conversation', undefined, { visitorId }),
      ),
    )
    expect(begun.map((answer) => answer.status)).toEqual(Array(8).fill(200))
    expect(new Set(begun.map((answer) => answer.body.conversation.id)).size).toBe(1)
  })

  test('a list of 200 conversations with unread counts costs about what the native one does', async () => {
    const given = await castOf(open, 'list')
    for (let i = 0; i < 200; i++) {
      const made = await ask(open.bases.prefix, 'POST', '/api/conversations', given.sam, {
        participantIds: [given.anaId],
        type: 'GROUP',
      })
      if (i % 4 === 0) {
        const content = `number ${i}`
        const conversationId = made.body.conversation.id
        await ask(open.bases.prefix, 'POST', '/api/messages', given.ana, { conversationId, content })
      }
    }
    const sam = await nativeSelf(open, given.samId)
    const took = { here: [] as number[], natively: [] as number[] }
    for (let i = 0; i < 15; i++) {
      const began = performance.now()
      const { body } = await ask(open.bases.prefix, 'GET', '/api/conversations', given.sam)
      const between = performance.now()
      await sam.call('conversation.list', { view: 'participating', limit: 200 })
      took.here.push(between - began)
      took.natively.push(performance.now() - between)
      expect(body.conversations).toHaveLength(200)
    }
    const median = (times: number[]) => times.sort((a, b) => a - b)[7] ?? 0
    expect(median(took.here)).toBeLessThan(2.5 * median(took.natively))
  })
})

/** The same person through the native door. */
async function nativeSelf({ server }: Stage, id: string | undefined) {
  const { chat } = server.running.parley
  const person = await chat.db
    .selectFrom('person')
    .selectAll()
    .where('id', '=', uuidOf(id) ?? '')
    .executeTakeFirstOrThrow()
  const { accessToken } = await openSession(chat, chat.db, person)
  return new Person(server.url, person.id, person.name, accessToken)
}
