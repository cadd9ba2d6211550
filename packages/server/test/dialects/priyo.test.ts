import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Event, Role } from '@parley/protocol'
import Fastify, { type FastifyInstance } from 'fastify'
import { SignJWT } from 'jose'
import { Server as SocketIo } from 'socket.io'
import { io } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { keyFor } from '../../src/chat/access-tokens.ts'
import { AddressLimit } from '../../src/chat/address-limit.ts'
import { notFound } from '../../src/chat/failure.ts'
import { beginSession, keepRefreshToken, openSession } from '../../src/chat/sessions.ts'
import type { Door, Listening } from '../../src/dialects/door.ts'
import { listen } from '../../src/dialects/listening.ts'
import { priyoEvents } from '../../src/dialects/priyo/events.ts'
import { answerLikePriyo } from '../../src/dialects/priyo/frame.ts'
import { idOf, uuidOf } from '../../src/dialects/priyo/ids.ts'
import { priyoAt } from '../../src/dialects/priyo/priyo.ts'
import { priyoRoutes } from '../../src/dialects/priyo/routes.ts'
import { type Kind, TokenMint } from '../../src/dialects/priyo/tokens.ts'
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

/** Four people of one exchange, somebody who is gone, tokens whose time is over, and the id of somebody from elsewhere. */
async function castOf(here: Stage, run: string): Promise<Record<string, string>> {
  const { server, mint } = here
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
  return { ...given, ...(await outdated(here, run)), strangerId: idOf(stranger.id) }
}

/** Tokens of every kind, with which nothing is wrong but that their time is over. */
async function outdated(here: Stage, run: string): Promise<Record<string, string>> {
  const { db } = here.server.running.parley.chat
  const late = await person_(here.server, 'contact', `late${run}`)
  const session = await beginSession(db, late)
  const past = { iat: 1_700_000_000, exp: 1_700_000_900 }
  const sign = async (kind: Kind) =>
    signed(here, kind, { ...claimsOf(await here.mint.sign(kind, late, session)), ...past })
  const expiredRefresh = await sign('refresh')
  await keepRefreshToken(db, session, expiredRefresh)
  return { expired: await sign('access'), expiredRefresh, expiredVisit: await sign('widget') }
}

const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>

/** A token as somebody would sign it who has the key of its kind. */
async function signed({ server }: Stage, kind: Kind, claims: Record<string, unknown>, alg = 'HS256') {
  const key = await keyFor(server.running.parley.chat, `priyo ${server.workspaceId} ${kind}`)
  return new SignJWT(claims).setProtectedHeader({ alg, typ: 'JWT' }).sign(key)
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

/** A door of the demo server that no route leads to. */
function looseDoor(): Door {
  const { workspaceId, running } = open.server
  const { parley } = running
  return {
    mount: { dialect: 'priyo', workspaceId, base: '', options: {} },
    chat: parley.chat,
    log: parley.log,
    presenceOf: (userId) => parley.presence.of(userId),
    listen: (ears, options) => listen(parley, ears, options),
  }
}

/** Sockets of the demo server that listen in a way of their own. */
async function socketsOf(listen: Door['listen']): Promise<AsyncDisposable & { url: string }> {
  const http = createServer()
  const sockets = new SocketIo(http)
  priyoEvents(sockets.of('/'), { ...looseDoor(), listen })
  await once(http.listen(0, '127.0.0.1'), 'listening')
  const { port } = http.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => sockets.close() }
}

const followingBy = (listening: Listening, follow: Listening['follow']): Listening => ({
  actor: listening.actor,
  follow,
  unfollow: (conversationId) => listening.unfollow(conversationId),
  watch: (userIds) => listening.watch(userIds),
  settled: () => listening.settled(),
  end: () => listening.end(),
})

async function enter(url: string, token?: string) {
  const socket = io(url, { auth: { token }, transports: ['websocket'], forceNew: true })
  await once(socket as never, 'connect')
  return socket
}

/** What an upload is answered with. */
async function upload(
  token = '',
  name = '',
  type = '',
  bytes: string | Uint8Array<ArrayBuffer> = 'x',
  base = open.bases.prefix,
) {
  const form = new FormData()
  form.set('file', new Blob([bytes], { type }), name)
  const response = await fetch(`${base}/api/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: form,
  })
  return { status: response.status, body: (await response.json()) as Answer['body'] }
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

  test('messages of several conversations are marked read with one request, in any order and named twice', async () => {
    const given = await castOf(open, 'several')
    const { bases } = open
    const says = async (content: string) => {
      const { body } = await ask(bases.prefix, 'POST', '/api/conversations', given.ana, {
        participantIds: [given.samId],
        type: 'GROUP',
        name: content,
      })
      const sent = await ask(bases.prefix, 'POST', '/api/messages', given.ana, {
        conversationId: body.conversation.id,
        content,
      })
      return sent.body.data.id as string
    }
    const [first, second, third] = [await says('one'), await says('two'), await says('three')]
    const unread = async () => (await ask(bases.prefix, 'GET', '/api/messages/unread/count', given.sam)).body
    const mark = (...messageIds: string[]) =>
      ask(bases.prefix, 'POST', '/api/messages/read', given.sam, { messageIds })
    expect(await unread()).toEqual({ unreadCount: 3 })
    expect((await mark(third, idOf(crypto.randomUUID()))).status).toBe(400)
    expect(await unread()).toEqual({ unreadCount: 3 })
    expect((await mark(third, first, third)).status).toBe(200)
    expect(await unread()).toEqual({ unreadCount: 1 })
    expect((await mark(first, second)).status).toBe(200)
    expect(await unread()).toEqual({ unreadCount: 0 })
  })

  test('whoever types is seen typing in their own other tabs, but not by the tab they type in', async () => {
    const { bases } = open
    const given = await castOf(open, 'tabs')
    const { body } = await ask(bases.prefix, 'POST', '/api/conversations', given.sam, {
      participantIds: [given.anaId],
      type: 'DIRECT',
    })
    const told: string[] = []
    const enter = async (name: string, token: string | undefined) => {
      const socket = io(bases.prefix, { auth: { token }, transports: ['websocket'], forceNew: true })
      await once(socket as never, 'connect')
      await socket.emitWithAck('conversation:join', body.conversation.id)
      for (const event of ['typing:start', 'typing:stop']) {
        socket.on(event, ({ userId }) => told.push(`${name} ${event} ${userId === given.samId}`))
      }
      return socket
    }
    const first = await enter('first tab', given.sam)
    const sockets = [first, await enter('second tab', given.sam), await enter('ana', given.ana)]
    try {
      for (const event of ['typing:start', 'typing:stop']) {
        told.length = 0
        first.emit(event, { conversationId: body.conversation.id })
        await expect.poll(() => told.toSorted()).toEqual([`ana ${event} true`, `second tab ${event} true`])
        // What the tab itself is sent comes in order: an answer means that nothing of it is still on its way.
        await first.emitWithAck('conversation:join', body.conversation.id)
        expect(told).toHaveLength(2)
      }
    } finally {
      for (const socket of sockets) socket.disconnect()
    }
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
  })

  test('tokens say who somebody is, and live as long as documented', async () => {
    const user = { email: 'claims@example.com', username: 'claims', password: 'secret1', role: 'AGENT' }
    const { body } = await ask(open.bases.prefix, 'POST', '/api/auth/register', undefined, user)
    const access = claimsOf(body.tokens.accessToken)
    const refresh = claimsOf(body.tokens.refreshToken)
    for (const claims of [access, refresh]) {
      expect(claims).toMatchObject({
        userId: body.user.id,
        email: user.email,
        username: 'claims',
        role: 'AGENT',
        iat: expect.any(Number),
        jti: expect.any(String),
      })
    }
    expect(access.jti).not.toBe(refresh.jti)
    expect(Number(access.exp) - Number(access.iat)).toBe(15 * 60)
    expect(Number(refresh.exp) - Number(refresh.iat)).toBe(7 * 86_400)
    const visitorId = 'claims-0123456789abcdefghij'
    const { body: visit } = await ask(open.bases.prefix, 'POST', '/api/widget/auth', undefined, { visitorId })
    const widget = claimsOf(visit.token)
    expect(widget).toMatchObject({
      userId: visit.user.id,
      email: `visitor_${visitorId}@widget.local`,
      role: 'CUSTOMER',
      isWidget: true,
      visitorId,
    })
    expect(Number(widget.exp) - Number(widget.iat)).toBe(86_400)
  })

  test('the right key is not enough: only HS256 signs, with every claim and before its time is over', async () => {
    const { ana = '', samId } = await castOf(open, 'alg')
    const claims = claimsOf(ana)
    const me = (token: string) => ask(open.bases.prefix, 'GET', '/api/auth/me', token)
    expect((await me(await signed(open, 'access', claims))).status).toBe(200)
    const { jti: _, ...nameless } = claims
    const { exp: __, ...endless } = claims
    for (const token of [
      await signed(open, 'access', claims, 'HS384'),
      await signed(open, 'access', claims, 'HS512'),
      await signed(open, 'access', { ...claims, exp: Math.floor(Date.now() / 1_000) - 1 }),
      await signed(open, 'access', { ...claims, userId: samId }),
      await signed(open, 'access', nameless),
      await signed(open, 'access', endless),
    ]) {
      expect(await me(token)).toEqual({ status: 403, body: { error: 'Invalid or expired access token' } })
    }
    const user = { email: 'alg@example.com', username: 'algorithm', password: 'secret1' }
    const { body } = await ask(open.bases.prefix, 'POST', '/api/auth/register', undefined, user)
    for (const alg of ['HS384', 'HS512']) {
      const refreshToken = await signed(open, 'refresh', claimsOf(body.tokens.refreshToken), alg)
      const answer = await ask(open.bases.prefix, 'POST', '/api/auth/refresh', undefined, { refreshToken })
      expect(answer).toEqual({ status: 403, body: { error: 'Invalid refresh token' } })
    }
  })

  test('no other algorithm, key or workspace makes a token', async () => {
    const { ana = '' } = await castOf(open, 'forge')
    const [, payload = '', signature = ''] = ana.split('.')
    const head = (header: object) => Buffer.from(JSON.stringify(header)).toString('base64url')
    const elsewhere = await castOf(usual, 'forge')
    for (const token of [
      `${head({ alg: 'none' })}.${payload}.`,
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

  test('a page of messages holds fifty, at most two hundred, and junk means fifty', async () => {
    const given = await castOf(open, 'pages')
    const { body } = await ask(open.bases.prefix, 'POST', '/api/conversations', given.ana, {
      participantIds: [given.samId],
      type: 'DIRECT',
    })
    const ana = await nativeSelf(open, given.anaId)
    const conversationId = uuidOf(body.conversation.id) ?? ''
    for (let i = 1; i <= 205; i++) await ana.send(conversationId, String(i))
    const numbers = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, i) => String(from + i))
    const contents = async (query: string) => {
      const path = `/api/messages/${body.conversation.id}${query}`
      const page = await ask(open.bases.prefix, 'GET', path, given.ana)
      return page.body.messages.map((message: { content: string }) => message.content)
    }
    for (const query of ['', '?page=x&limit=-1', '?page=0&limit=0', '?limit=1e2&page=-3', '?limit=&page=']) {
      expect(await contents(query), query).toEqual(numbers(156, 205))
    }
    for (const limit of [200, 201, 999_999]) {
      expect(await contents(`?limit=${limit}`), `limit ${limit}`).toEqual(numbers(6, 205))
      expect(await contents(`?limit=${limit}&page=2`), `limit ${limit}`).toEqual(numbers(1, 5))
    }
  })

  test('a message that arrives while its sender begins to follow it is followed to everybody', async () => {
    const given = await castOf(open, 'soon')
    const { parley } = open.server.running
    const arrived = Promise.withResolvers<void>()
    await using slow = await socketsOf(async (ears, options) => {
      const hear = async (event: Event) => {
        await ears.hear(event)
        if (event.type === 'receipt.moved') arrived.resolve()
      }
      const listening = await listen(parley, { ...ears, hear }, options)
      return followingBy(listening, async (conversationId) => {
        await listening.follow(conversationId)
        await arrived.promise
      })
    })
    const ana = await enter(slow.url, given.ana)
    const sam = await enter(open.bases.prefix, given.sam)
    const ben = await enter(open.bases.prefix, given.ben)
    try {
      const group = { participantIds: [given.samId, given.benId], type: 'GROUP' }
      const { body } = await ask(open.bases.prefix, 'POST', '/api/conversations', given.ana, group)
      const conversationId = body.conversation.id
      const told: string[][] = []
      ana.on('message:delivered', ({ deliveredTo }) => told.push(deliveredTo))
      await ana.emitWithAck('message:send', { conversationId, content: 'x' })
      await sam.emitWithAck('conversation:join', conversationId)
      await expect.poll(() => told, { timeout: 10_000 }).toEqual([[given.samId]])
      await ben.emitWithAck('conversation:join', conversationId)
      await expect.poll(() => told, { timeout: 10_000 }).toEqual([[given.samId], [given.samId, given.benId]])
    } finally {
      for (const socket of [ana, sam, ben]) socket.disconnect()
    }
  })

  test('a join that failed half-way can be tried again', async () => {
    const given = await castOf(open, 'again')
    const { parley } = open.server.running
    let refusals = 1
    await using shaky = await socketsOf(async (ears, options) => {
      const listening = await listen(parley, ears, options)
      return followingBy(listening, async (conversationId) => {
        if (refusals-- > 0) throw notFound()
        await listening.follow(conversationId)
      })
    })
    const group = { participantIds: [given.samId], type: 'GROUP' }
    const { body } = await ask(open.bases.prefix, 'POST', '/api/conversations', given.ana, group)
    const { id } = body.conversation
    const sam = await enter(shaky.url, given.sam)
    try {
      expect(await sam.emitWithAck('conversation:join', id)).toMatchObject({ ok: false })
      expect(await sam.emitWithAck('conversation:join', id)).toEqual({ ok: true })
      const heard = once(sam as never, 'message:new')
      await ask(open.bases.prefix, 'POST', '/api/messages', given.ana, { conversationId: id, content: 'x' })
      expect(await heard).toMatchObject([{ content: 'x' }])
    } finally {
      sam.disconnect()
    }
  })

  test('an admin’s list holds everybody’s conversations, newest activity first, and counts only their own', async () => {
    const given = await castOf(open, 'adminlist')
    const begin = async (token: string | undefined, participantIds: unknown[], name: string) => {
      const made = { participantIds, type: 'GROUP', name }
      return (await ask(open.bases.prefix, 'POST', '/api/conversations', token, made)).body.conversation.id
    }
    const send = (token: string | undefined, conversationId: string) =>
      ask(open.bases.prefix, 'POST', '/api/messages', token, { conversationId, content: 'x' })
    const theirs = await begin(given.ana, [given.benId], 'theirs')
    const own = await begin(given.ana, [given.adaId], 'own')
    const quiet = await begin(given.sam, [given.benId], 'quiet')
    await send(given.ana, own)
    await send(given.ana, theirs)
    const { body } = await ask(open.bases.prefix, 'GET', '/api/conversations', given.ada)
    const listed = body.conversations as { id: string; unreadCount: number; updatedAt: string }[]
    expect(listed.slice(0, 3)).toMatchObject([
      { id: theirs, unreadCount: 0, lastMessage: { content: 'x' } },
      { id: own, unreadCount: 1, lastMessage: { content: 'x' } },
      { id: quiet, unreadCount: 0, lastMessage: null },
    ])
    const times = listed.map(({ updatedAt }) => updatedAt)
    expect(times).toEqual([...times].sort().reverse())
    await ask(open.bases.prefix, 'DELETE', `/api/conversations/${theirs}`, given.ada)
    const after = await ask(open.bases.prefix, 'GET', '/api/conversations', given.ada)
    expect(after.body.conversations[0].id).toBe(own)
    expect(JSON.stringify(after.body)).not.toContain(theirs)
  })

  test('of many who begin one direct conversation at once, one does, and the others are told which', async () => {
    const given = await castOf(open, 'pairs')
    const begun = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        ask(open.bases.prefix, 'POST', '/api/conversations', i % 2 ? given.ana : given.sam, {
          participantIds: [i % 2 ? given.samId : given.anaId],
          type: 'DIRECT',
        }),
      ),
    )
    const winner = begun.find((answer) => answer.status === 201)
    const { id } = winner?.body.conversation ?? {}
    expect(id).toMatch(/^[0-9a-z]{25}$/)
    expect(begun.filter((answer) => answer !== winner)).toEqual(
      Array(7).fill({
        status: 409,
        body: { error: 'Direct conversation already exists', conversationId: id },
      }),
    )
  })

  test('an e-mail is no proof: neither for a visitor who names it, nor against its owner who signs up later', async () => {
    const given = await castOf(open, 'proof')
    const { prefix } = open.bases
    const visit = (visitorId: string, email?: string) =>
      ask(prefix, 'POST', '/api/widget/auth', undefined, { visitorId, ...(email && { email }) })
    const first = await visit('proof-one-0123456789abcdef', given.samEmail)
    const second = await visit('proof-two-0123456789abcdef', given.samEmail)
    expect([first.status, second.status]).toEqual([200, 200])
    const ids = [first.body.user.id, second.body.user.id, given.samId]
    expect(new Set(ids).size).toBe(3)
    expect(claimsOf(first.body.token)).toMatchObject({ userId: first.body.user.id, role: 'CUSTOMER' })
    const email = 'proof-later@example.com'
    const early = await visit('proof-three-0123456789abcdef', email)
    const owner = { email, username: 'prooflater', password: 'secret1' }
    const signedUp = await ask(prefix, 'POST', '/api/auth/register', undefined, owner)
    expect(signedUp.status).toBe(201)
    expect(signedUp.body.user.id).not.toBe(early.body.user.id)
    expect((await visit('proof-three-0123456789abcdef', email)).body.user.id).toBe(early.body.user.id)
  })

  test('a visitor is shown the fifty newest messages, the oldest of them first', async () => {
    const { prefix } = open.bases
    const visitorId = 'fifty-newest-0123456789abcdef'
    const begin = () => ask(prefix, 'POST', '/api/widget/conversation', undefined, { visitorId })
    const { id } = (await begin()).body.conversation
    for (let i = 1; i <= 55; i++) {
      const message = { visitorId, conversationId: id, message: String(i) }
      expect((await ask(prefix, 'POST', '/api/widget/message', undefined, message)).status).toBe(200)
    }
    const newest = Array.from({ length: 50 }, (_, i) => String(i + 6))
    const contents = (messages: { content: string }[]) => messages.map((message) => message.content)
    expect(contents((await begin()).body.conversation.messages)).toEqual(newest)
    const path = `/api/widget/conversation/${id}/messages?visitorId=${visitorId}`
    expect(contents((await ask(prefix, 'GET', path)).body.messages)).toEqual(newest)
  })

  test('what is just short enough is taken', async () => {
    const given = await castOf(open, 'lengths')
    const { prefix } = open.bases
    const name = 'n'.repeat(100)
    const group = { participantIds: [given.benId], type: 'GROUP', name }
    const { body } = await ask(prefix, 'POST', '/api/conversations', given.ana, group)
    expect(body.conversation.name).toBe(name)
    const message = { conversationId: body.conversation.id, content: 'x'.repeat(2_000) }
    expect((await ask(prefix, 'POST', '/api/messages', given.ana, message)).status).toBe(201)
    for (const username of ['a1B', 'A'.repeat(30)]) {
      const user = { email: `${username}@example.com`, username, password: '123456' }
      expect((await ask(prefix, 'POST', '/api/auth/register', undefined, user)).status).toBe(201)
    }
    const visitorId = 'v'.repeat(20)
    const begun = await ask(prefix, 'POST', '/api/widget/conversation', undefined, { visitorId })
    const said = { visitorId, conversationId: begun.body.conversation.id, message: 'x'.repeat(5_000) }
    expect((await ask(prefix, 'POST', '/api/widget/message', undefined, said)).status).toBe(200)
  })

  test('uploads are named by when they came and by what nobody can guess', async () => {
    const { ana } = await castOf(open, 'names')
    const began = Date.now()
    const files = []
    for (let i = 0; i < 3; i++) files.push((await upload(ana, 'My Notes.TXT', 'text/plain')).body.file)
    const names = files.map(({ filename, url, originalName }) => {
      expect(url).toBe(`/uploads/${filename}`)
      expect(originalName).toBe('My Notes.TXT')
      const [, at = '', rand = ''] = /^file-(\d+)-([0-9a-z]{25})\.txt$/.exec(filename) ?? []
      expect(Number(at)).toBeGreaterThanOrEqual(began)
      expect(Number(at)).toBeLessThanOrEqual(Date.now())
      return rand
    })
    expect(new Set(names).size).toBe(3)
    // 25 characters of base 36 are 129 bits. Neighbours in time share none of what they begin with.
    expect(new Set(names.map((rand) => rand.slice(1, 6))).size).toBe(3)
    const [, at = '', rand = ''] = /^file-(\d+)-(.*)$/.exec(files[0].filename) ?? []
    for (const name of [`file-${Number(at) + 1}-${rand}`, `file-${at}-${idOf(randomUUIDv7())}.txt`]) {
      expect(await ask(open.bases.prefix, 'GET', `/uploads/${name}`)).toEqual({
        status: 404,
        body: { error: 'File not found' },
      })
    }
  })

  test('every documented extension comes in with its proper type and goes out with it, and no other does', async () => {
    const { ana } = await castOf(open, 'types')
    const documented = {
      jpeg: 'image/jpeg',
      jpg: 'image/jpeg',
      png: 'image/png',
      gif: 'image/gif',
      pdf: 'application/pdf',
      doc: 'application/msword',
      docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
      txt: 'text/plain',
      mp4: 'video/mp4',
      mp3: 'audio/mpeg',
      wav: 'audio/wav',
    }
    for (const [extension, type] of Object.entries(documented)) {
      const { status, body } = await upload(ana, `a.${extension}`, type)
      expect(status, extension).toBe(200)
      expect(body.file).toMatchObject({ mimetype: type, size: 1 })
      for (const path of [body.file.url, `/api/upload/${body.file.filename}`]) {
        const response = await fetch(`${open.bases.prefix}${path}`)
        expect(response.headers.get('content-type')?.split(';')[0], extension).toBe(type)
        expect(response.headers.get('x-content-type-options'), extension).toBe('nosniff')
        expect(await response.text()).toBe('x')
      }
      const spoofed = await upload(ana, `a.${extension}`, 'text/html')
      expect(spoofed, extension).toEqual({ status: 400, body: { error: 'Invalid file type' } })
    }
    for (const [name, type] of [
      ['a.docm', 'application/msword'],
      ['a.png.exe', 'image/png'],
      ['a.svg', 'image/svg+xml'],
      ['a.html', 'text/plain'],
      ['png', 'image/png'],
      ['a.png ', 'image/png'],
      ['a.jpgx', 'image/jpeg'],
    ] as const) {
      const refused = await upload(ana, name, type)
      expect(refused, name).toEqual({ status: 400, body: { error: 'Invalid file type' } })
    }
  })

  test('a file may have five mebibytes, and not one byte more', async () => {
    const { ana } = await castOf(open, 'size')
    const most = await upload(ana, 'a.txt', 'text/plain', new Uint8Array(5_242_880))
    expect(most.status).toBe(200)
    expect(most.body.file.size).toBe(5_242_880)
    const more = await upload(ana, 'a.txt', 'text/plain', new Uint8Array(5_242_881))
    expect(more).toEqual({ status: 413, body: { error: 'File too large', maxSize: '5MB' } })
  })

  test('what nobody expected is a 500 that names its request and nothing else', async () => {
    const priyo = await priyoAt(looseDoor())
    const app: FastifyInstance = Fastify()
    answerLikePriyo(app, priyo)
    app.get('/broken', async () => {
      throw new Error('select secret from message')
    })
    const answer = await app.inject('/broken')
    expect(answer.statusCode).toBe(500)
    expect(answer.json()).toEqual({ error: 'Internal server error', requestId: expect.any(String) })
    await app.close()
  })

  test('an address may ask 500 times in fifteen minutes, in the demo 2,000 times, and again after that', async () => {
    for (const [args, most] of [
      [[], '500'],
      [['--demo'], '2000'],
    ] as const) {
      await using server = await startServer({ args: [...args], env: { RATE_LIMIT: 'on' } })
      const { headers } = await fetch(`${server.url}/priyo/api/auth/me`)
      expect(headers.get('ratelimit-limit')).toBe(most)
      expect(headers.get('ratelimit-reset')).toBe('900')
    }
    const limit = new AddressLimit(1, 200)
    expect([limit.count('a'), limit.count('a'), limit.count('b')].map(({ remaining }) => remaining)).toEqual([
      0, -1, 0,
    ])
    await expect.poll(() => limit.count('a').remaining).toBe(0)
  })

  test('over HTTPS browsers are told to stay there, and the options of a mount hold', async () => {
    const origins = 'https://shop.example+https://www.shop.example'
    const options = `accessExpiresIn=1m&refreshExpiresIn=2h&maxFileSize=1572864&origins=${origins}`
    await using server = await startServer({
      env: { TRUST_PROXY: 'on', PARLEY_MOUNTS: `priyo?${options}` },
    })
    const base = `${server.url}/priyo`
    const get = async (headers: Record<string, string>) =>
      (await fetch(`${base}/health`, { headers })).headers
    expect((await get({})).get('strict-transport-security')).toBeNull()
    const secure = await get({ 'x-forwarded-proto': 'https' })
    expect(secure.get('strict-transport-security')).toBe('max-age=15552000')
    for (const origin of origins.split('+')) {
      expect((await get({ origin })).get('access-control-allow-origin')).toBe(origin)
    }
    const usually = await get({ origin: 'http://localhost:3000' })
    expect(usually.get('access-control-allow-origin')).toBeNull()
    const user = { email: 'options@example.com', username: 'options', password: 'secret1' }
    const { body } = await ask(base, 'POST', '/api/auth/register', undefined, user)
    const lifetime = ({ exp, iat }: Record<string, unknown>) => Number(exp) - Number(iat)
    expect(lifetime(claimsOf(body.tokens.accessToken))).toBe(60)
    expect(lifetime(claimsOf(body.tokens.refreshToken))).toBe(7_200)
    const most = new Uint8Array(1_572_864)
    expect((await upload(body.tokens.accessToken, 'a.txt', 'text/plain', most, base)).status).toBe(200)
    const more = new Uint8Array(1_572_865)
    const refused = await upload(body.tokens.accessToken, 'a.txt', 'text/plain', more, base)
    expect(refused).toEqual({ status: 413, body: { error: 'File too large', maxSize: '1.5MB' } })
  })

  test('visitors arrive in the inbox that a mount names, else in the oldest', async () => {
    const { db } = open.server.running.parley.chat
    const inbox = randomUUIDv7()
    const { workspaceId, inboxId } = open.server
    const row = { workspace_id: workspaceId, id: inbox, name: 'Visitors', widget_key: randomUUIDv7() }
    await db.insertInto('inbox').values(row).execute()
    const cases: Record<string, string>[] = [{ inbox }, {}]
    for (const [i, options] of cases.entries()) {
      const door = looseDoor()
      const app: FastifyInstance = Fastify()
      await app.register(async (scope) => priyoRoutes(scope, { ...door, mount: { ...door.mount, options } }))
      const payload = { visitorId: `which-inbox-${i}-0123456789abcdef` }
      const begun = await app.inject({ method: 'POST', url: '/api/widget/conversation', payload })
      expect(begun.statusCode).toBe(200)
      const made = await db
        .selectFrom('conversation')
        .select('inbox_id')
        .where('workspace_id', '=', workspaceId)
        .where('kind', '=', 'support')
        .orderBy('created_at', 'desc')
        .limit(1)
        .executeTakeFirstOrThrow()
      expect(made.inbox_id).toBe(options.inbox ?? inboxId)
      await app.close()
    }
  })

  test('the secret of scripts and an invitation let staff in, the latter once', async () => {
    const secret = randomBytes(24).toString('base64url')
    await using server = await startServer({ env: { REGISTRATION_SECRET: secret } })
    const refused = {
      status: 403,
      body: { error: 'Insufficient permissions', required: ['ADMIN'], current: null },
    }
    let count = 0
    const signUp = async (role: string, given: object, headers: Record<string, string> = {}) => {
      count += 1
      const user = { email: `staff${count}@example.com`, username: `staff${count}`, password: 'secret1' }
      const response = await fetch(`${server.url}/priyo/api/auth/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ ...user, role, ...given }),
      })
      return { status: response.status, body: (await response.json()) as Answer['body'] }
    }
    for (const [role, given, headers] of [
      ['ADMIN', { registrationSecret: secret }, {}],
      ['AGENT', {}, { 'x-registration-secret': secret }],
    ] as const) {
      const entered = await signUp(role, given, headers)
      expect(entered.status).toBe(201)
      expect(entered.body.user.role).toBe(role)
    }
    const wrong = secret.split('').reverse().join('')
    expect(await signUp('AGENT', { registrationSecret: wrong })).toEqual(refused)
    expect(await signUp('AGENT', {}, { 'x-registration-secret': wrong })).toEqual(refused)
    const owner = await server.person('owner', 'Olga')
    const { token: invitation } = await owner.call('invitation.create', { role: 'agent' })
    expect(await signUp('ADMIN', { invitation })).toEqual(refused)
    const entered = await signUp('AGENT', { invitation })
    expect([entered.status, entered.body.user?.role]).toEqual([201, 'AGENT'])
    expect(await signUp('AGENT', { invitation })).toEqual(refused)
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
