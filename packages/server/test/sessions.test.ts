import { createSecretKey, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { decodeJwt, SignJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { type Answer, type Person, startServer, type TestServer, TestSocket } from '../src/testing.ts'
import { openWire, type Transport, transports } from './wires.ts'

let server: TestServer
let owner: Person
let admin: Person

beforeAll(async () => {
  server = await startServer()
  owner = await server.person('owner', 'Olga')
  admin = await server.person('admin', 'Ada')
})
afterAll(() => server[Symbol.asyncDispose]())

const password = 'correct horse'
let count = 0
async function account() {
  const email = `person${++count}@example.com`
  const { body } = await server.rest('POST', '/api/v1/auth/register', {
    body: { name: 'Pat', email, password },
  })
  return { email, userId: body.user.id as string, tokens: body.tokens as Tokens }
}
type Tokens = { accessToken: string; refreshToken: string }
const login = (email: string, word = password) =>
  server.rest('POST', '/api/v1/auth/login', { body: { email, password: word } })
const refresh = (refreshToken: string) =>
  server.rest('POST', '/api/v1/auth/refresh', { body: { refreshToken } })
const me = (token: string) => server.rest('GET', '/api/v1/me', { token })
const codeOf = (answer: Answer) => answer.body.error?.code ?? answer.status

test('signing in: the same answer for a wrong password, an unknown e-mail and an account switched off', async () => {
  const { email, userId } = await account()
  expect((await login(email.toUpperCase())).status).toBe(200)
  expect(codeOf(await login(email, 'wrong'))).toBe('invalid_credentials')
  expect(codeOf(await login('nobody@example.com'))).toBe('invalid_credentials')
  await admin.call('user.update', { userId, active: false })
  expect(codeOf(await login(email))).toBe('invalid_credentials')
  await admin.call('user.update', { userId, active: true })
  expect((await login(email)).status).toBe(200)
})

test('[A10] a refresh token is good once; using it twice ends the session', async () => {
  const { tokens } = await account()
  const second = await refresh(tokens.refreshToken)
  expect(second.status).toBe(200)
  expect((await me(second.body.accessToken)).status).toBe(200)
  expect(codeOf(await refresh(tokens.refreshToken))).toBe('refresh_reused')
  expect(codeOf(await refresh(second.body.refreshToken))).toBe('unauthenticated')
  expect(codeOf(await me(second.body.accessToken))).toBe('unauthenticated')
  for (const bad of ['x', tokens.accessToken, randomBytes(48).toString('base64url')]) {
    expect(codeOf(await refresh(bad))).toBe('unauthenticated')
  }
})

test('[A10] of concurrent refreshes with one token exactly one wins', async () => {
  const { tokens } = await account()
  const answers = await Promise.all(Array.from({ length: 5 }, () => refresh(tokens.refreshToken)))
  expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
  expect(new Set(answers.filter((answer) => answer.status !== 200).map(codeOf))).toEqual(
    new Set(['refresh_reused']),
  )
})

test('logging out ends this session at once, `everywhere` all of them', async () => {
  const { email, tokens } = await account()
  const [here, there] = [(await login(email)).body.tokens, (await login(email)).body.tokens]
  await me(here.accessToken)
  await server.rest('POST', '/api/v1/auth/logout', { token: here.accessToken, body: {} })
  expect(codeOf(await me(here.accessToken))).toBe('unauthenticated')
  expect(codeOf(await refresh(here.refreshToken))).toBe('unauthenticated')
  expect((await me(there.accessToken)).status).toBe(200)
  await server.rest('POST', '/api/v1/auth/logout', { token: there.accessToken, body: { everywhere: true } })
  for (const { accessToken } of [there, tokens]) expect(codeOf(await me(accessToken))).toBe('unauthenticated')
})

test('a changed password ends every other session and keeps this one', async () => {
  const { email, tokens } = await account()
  const other = (await login(email)).body.tokens
  const change = (current: string) =>
    server.rest('PUT', '/api/v1/me/password', {
      token: tokens.accessToken,
      body: { current, next: 'another horse' },
    })
  expect(codeOf(await change('wrong'))).toBe('invalid_credentials')
  expect((await change(password)).status).toBe(204)
  expect(codeOf(await me(other.accessToken))).toBe('unauthenticated')
  expect(codeOf(await refresh(other.refreshToken))).toBe('unauthenticated')
  expect((await me(tokens.accessToken)).status).toBe(200)
  expect((await refresh(tokens.refreshToken)).status).toBe(200)
  expect(codeOf(await login(email))).toBe('invalid_credentials')
  expect((await login(email, 'another horse')).status).toBe(200)
})

test('[G20] what changes behind our back holds within two seconds: sessions, roles, accounts', async () => {
  const agent = await server.person('agent', 'Abe')
  const gone = await server.person('agent', 'Gus')
  const { db } = server.running.parley.chat
  for (const who of [agent, gone]) expect((await me(who.token)).body.user.role).toBe('agent')
  await db.updateTable('person').set({ role: 'contact' }).where('id', '=', agent.userId).execute()
  await db.updateTable('person').set({ session_version: 2 }).where('id', '=', gone.userId).execute()
  await new Promise((resolve) => setTimeout(resolve, 1_900))
  expect((await me(agent.token)).body.user.role).toBe('contact')
  expect(codeOf(await agent.try('user.list', {}))).toBe('forbidden')
  expect(codeOf(await me(gone.token))).toBe('unauthenticated')
})

test('[C2] [C4] a hello whose token has run out is told so over every transport, and one with a new token is welcomed', async () => {
  const { tokens } = await account()
  const sign = await signer()
  const old = await sign({ ...decodeJwt(tokens.accessToken), exp: 1 })
  const socket = new TestSocket(new WebSocket(`${server.url.replace('http', 'ws')}/api/v1/realtime`))
  await once(socket.websocket, 'open')
  socket.write({ type: 'hello', token: old })
  expect(await socket.closed()).toBe(4011)
  const close = { type: 'close', reason: 'token_expired' }
  const hello = { type: 'hello', token: old }
  const poll = await server.rest('POST', '/api/v1/realtime/poll', { body: hello })
  expect(poll.body.frames).toEqual([close])
  const stream = await server.rest('POST', '/api/v1/realtime/sse', { body: hello })
  expect(stream.body).toBe(`data: ${JSON.stringify(close)}\n\n`)

  const { accessToken } = (await refresh(tokens.refreshToken)).body
  for (const transport of transports) {
    const wire = await openWire(transport, { url: server.url, token: accessToken })
    wire.close()
  }
})

test('[T1] a connection outlives its token, and whoever names it needs one that has not run out', async () => {
  const { tokens } = await account()
  const sign = await signer()
  const short = await sign({ ...decodeJwt(tokens.accessToken), exp: Math.floor(Date.now() / 1000) + 3 })
  const open = (transport: Transport) => openWire(transport, { url: server.url, token: short })
  const [socket, stream] = await Promise.all([open('websocket'), open('sse')])
  await expect.poll(async () => codeOf(await me(short)), { timeout: 10_000 }).toBe('token_expired')
  await server.running.parley.hub.recheck([decodeJwt(short).sub ?? ''])
  expect(await socket.command('unread.get', {})).toMatchObject({ ok: true })
  await expect(stream.command('unread.get', {})).rejects.toThrow('token_expired')
  const post = (token: string) =>
    server.rest('POST', `/api/v1/realtime/connections/${stream.connectionId}`, {
      token,
      body: { type: 'heartbeat' },
    })
  expect(codeOf(await post(short))).toBe('token_expired')
  expect(codeOf(await post(tokens.accessToken))).toBe(202)
  for (const wire of [socket, stream]) wire.close()
})

/** Signs whatever is claimed with the server’s own key, or another one. */
async function signer() {
  const { value } = await server.running.parley.chat.db
    .selectFrom('server_meta')
    .select('value')
    .where('key', '=', 'token_secret')
    .executeTakeFirstOrThrow()
  const ours = createSecretKey(Buffer.from(value, 'base64url'))
  const sign = (payload: object, key = ours, alg = 'HS256') =>
    new SignJWT({ ...payload }).setProtectedHeader({ alg, typ: 'JWT' }).sign(key)
  return Object.assign(sign, { ours })
}

test('only tokens of ours are believed: not unsigned, not of another key, kind or audience, not expired', async () => {
  const claims = decodeJwt(owner.token)
  const sign = await signer()
  const { ours } = sign
  const plain = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const unsigned = `${plain({ alg: 'none' })}.${plain(claims)}.`

  expect((await me(await sign(claims))).status).toBe(200)
  expect(codeOf(await me(unsigned))).toBe('unauthenticated')
  expect(codeOf(await me(await sign(claims, createSecretKey(randomBytes(32)))))).toBe('unauthenticated')
  expect(
    codeOf(
      await me(await sign(claims, createSecretKey(Buffer.concat([ours.export(), ours.export()])), 'HS512')),
    ),
  ).toBe('unauthenticated')
  expect(codeOf(await me(await sign({ ...claims, aud: 'other' })))).toBe('unauthenticated')
  expect(codeOf(await me(await sign({ ...claims, exp: 1 })))).toBe('token_expired')
  expect(codeOf(await me(await sign({ ...claims, sub: admin.userId })))).toBe('unauthenticated')
  expect(codeOf(await me('pk_nothing'))).toBe('unauthenticated')
})
