import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { keyFor } from '../../src/chat/access-tokens.ts'
import { idOfAlias } from '../../src/chat/aliases.ts'
import { sendMessage } from '../../src/chat/messages.ts'
import { authenticate } from '../../src/chat/sessions.ts'
import type { Door } from '../../src/dialects/door.ts'
import { messageName } from '../../src/dialects/servicehub/names.ts'
import { readToken } from '../../src/dialects/servicehub/tokens.ts'
import { type Answer, type Person, startServer, type TestServer } from '../../src/testing.ts'
import { insides, upload } from '../world.ts'
import { type Fixture, readFixtures, readRows, replay } from './replay.ts'

let demo: TestServer
let prefix: string
let root: string
let special: Record<string, string>

beforeAll(async () => {
  demo = await startServer({ args: ['--demo'], env: { PARLEY_MOUNTS: 'servicehub:0' } })
  prefix = `${demo.url}/servicehub`
  root = demo.running.mounts[0]?.url ?? ''
  special = await specialTokens()
})
afterAll(() => demo[Symbol.asyncDispose]())

const fixtures = readFixtures('servicehub')

test('every row of the tables has an exchange that shows it, and no exchange shows a row that is not there', () => {
  const rows = readRows('servicehub')
  const covered = new Set(fixtures.flatMap((fixture) => fixture.covers))
  expect(new Set(rows).size).toBe(rows.length)
  expect(rows.filter((row) => !covered.has(row))).toEqual([])
  expect([...covered].filter((row) => !rows.includes(row))).toEqual([])
})

const slow = (fixture: Fixture) =>
  fixture.covers.some((row) => row.startsWith('presence ') || row.startsWith('a forgotten typing'))
const ways = { prefix: fixtures, root: fixtures.filter((fixture) => !slow(fixture)) }

// Both ways in lead to the same workspace: a tag keeps the names of one run apart from those of the others.
for (const way of ['prefix', 'root'] as const) {
  for (const fixture of ways[way]) {
    test(`at the ${way}: ${fixture.title}`, async () => {
      const tag = crypto.randomUUID().slice(0, 8)
      await replay(fixture, way === 'prefix' ? prefix : root, { ...special, tag })
    })
  }
}

test('the walkthrough of a newcomer, with curl and a WebSocket client', async () => {
  const json = ['-H', 'Content-Type: application/json']
  const curl = async (path: string, ...args: string[]) =>
    JSON.parse((await run('curl', ['-sS', '--max-time', '10', `${root}${path}`, ...args])).stdout)
  const { id: businessId } = await curl('/register-business', ...json, '-d', '{"name":"Bakery"}')
  const account = (username: string, more = {}) =>
    JSON.stringify({ username, email: `${username}@example.com`, password: 'bread', ...more })
  const customer = await curl('/register', ...json, '-d', account('walker', { role: 'CUSTOMER' }))
  expect(customer).toEqual({
    id: expect.any(String),
    username: 'walker',
    email: 'walker@example.com',
    role: 'CUSTOMER',
  })
  await curl('/register-agent', ...json, '-d', account('baker', { businessId }))
  const { token } = await curl('/login', ...json, '-d', account('walker'))
  const { token: bakersToken } = await curl('/login', ...json, '-d', account('baker'))
  expect(decodeJwt(token)).toMatchObject({ id: customer.id, role: 'CUSTOMER', username: 'walker' })
  expect(decodeJwt(bakersToken)).toMatchObject({ role: 'AGENT' })
  const baker = await Ear.open(`${root}?token=${bakersToken}`)
  await baker.hears('WELCOME')
  const auth = ['-H', `Authorization: Bearer ${token}`]
  const { newParticipantEntry } = await curl(
    '/createClientChat',
    ...auth,
    ...json,
    '-d',
    JSON.stringify({ businessId, conversationType: 'SUPPORT' }),
  )
  expect(await baker.hears('REFRESH_CHATS')).toMatchObject({ message: expect.stringContaining('created') })
  const chat = newParticipantEntry.conversationId
  const sent = await curl(
    `/conversations/${chat}/messages`,
    ...auth,
    ...json,
    '-d',
    JSON.stringify({ senderId: customer.id, body: 'Have you rye?', currentRole: 'CUSTOMER' }),
  )
  expect(await baker.hears('NEW_MESSAGE_BY_CUSTOMER')).toMatchObject({
    message: { id: sent.id, conversationId: chat, body: 'Have you rye?', sender: { username: 'walker' } },
  })
  baker.close()
})

test('a token lasts an hour from when it was made, and says who holds it and nothing of what is secret', async () => {
  const before = Math.floor(Date.now() / 1000)
  const { id, token } = await signUp('hour')
  const { iat = 0, exp = 0, ...claims } = decodeJwt(token)
  expect(iat).toBeGreaterThanOrEqual(before)
  expect(iat).toBeLessThanOrEqual(Math.ceil(Date.now() / 1000))
  expect(exp - iat).toBe(3_600)
  expect(claims).toMatchObject({ id, role: 'CUSTOMER', username: 'hour' })
  expect(Object.keys(claims).sort()).toEqual(['demo', 'id', 'role', 'sid', 'sub', 'sv', 'username'])
  expect(decodeProtectedHeader(token)).toEqual({ alg: 'HS256', typ: 'JWT' })
})

test('a store that failed while the key was fetched is asked again, and no token is blamed for it', async () => {
  const { chat, log } = demo.running.parley
  const { token, id } = await signUp('outage')
  const mount = { dialect: 'servicehub', workspaceId: demo.workspaceId, base: '', options: {} }
  const door = { mount, log, chat: { ...chat, db: undefined } }
  await expect(readToken(door as unknown as Door, token)).rejects.toThrow(TypeError)
  Object.assign(door.chat, { db: chat.db })
  expect(await readToken(door as unknown as Door, token)).toMatchObject({ id })
})

test('the whole history is its newest 2,000 messages, ascending, and what is older is a page', async () => {
  const { chat: name, agent, customer, ear } = await scene('long')
  ear.close()
  const { chat } = demo.running.parley
  const conversationId = (await idOfAlias(db(), demo.workspaceId, 'decimal', 'conversation', name)) ?? ''
  const olga = await demo.person('owner', 'Olga')
  const actor = await authenticate(chat, olga.token, { address: null, origin: null })
  const lines = Array.from({ length: 2_003 }, (_, i) => `line ${i}`)
  for (const body of lines.slice(0, 4)) await send(name, customer, body)
  for (let at = 4; at < lines.length; at += 200) {
    const some = lines.slice(at, at + 200)
    await Promise.all(
      some.map((body) => sendMessage(chat, actor, { conversationId, clientMessageId: body, body })),
    )
  }
  const history = async (query: string) => {
    const { body } = await call('GET', `/conversations/${name}/messages${query}`, { token: agent.token })
    return body as { id: string; body: string }[]
  }
  const bodies = (messages: { body: string }[]) => messages.map(({ body }) => body)
  const shown = await history('')
  expect(shown).toHaveLength(2_000)
  expect(shown[0]?.body).toBe('line 3')
  expect(bodies(shown).sort()).toEqual(lines.slice(3).sort())
  const numbers = shown.map(({ id }) => Number(id))
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
  expect(bodies(await history('?limit=9999'))).toEqual(bodies(shown))
  expect(bodies(await history(`?before=${shown[0]?.id}`))).toEqual(['line 0', 'line 1', 'line 2'])
  expect(bodies(await history(`?before=${shown[0]?.id}&limit=2`))).toEqual(['line 1', 'line 2'])
})

test('fields come in the order in which the service always told them', async () => {
  const { chat, customer, agent, ear } = await scene('fields')
  const { body: sent } = await send(chat, customer, 'hello')
  const message =
    'id conversationId senderId contentType body fileUrl mimeType createdAt readAt editedAt deletedAt readByCustomer readByAgents'
  const keys = (value: object) => Object.keys(value).join(' ')
  expect(keys(sent)).toBe(`${message} sender`)
  expect(keys((await ear.hears('NEW_MESSAGE_BY_CUSTOMER')).message)).toBe(`${message} sender`)
  const { body: history } = await call('GET', `/conversations/${chat}/messages`, { token: agent.token })
  expect(keys(history[0])).toBe(`${message} sender`)
  expect(keys(history[0].sender)).toBe('id username role')
  const path = `/conversations/${chat}/messages/${sent.id}/read/agent`
  expect(keys((await call('PATCH', path, { token: agent.token })).body.message)).toBe(message)
  const { body: list } = await call('GET', '/getClientChats', { token: customer.token })
  const [entry] = list.userAsParticipantList
  expect(keys(entry)).toBe('id conversationId userId role joinedAt conversation')
  expect(keys(entry.conversation)).toBe('id businessId type createdAt updatedAt business')
  const { body: people } = await call('GET', `/conversations/${chat}/participants`, { token: agent.token })
  expect(keys(people[0])).toBe('id conversationId userId role joinedAt user')
  ear.close()
})

test('every entry has an id of its own', async () => {
  const { business, chat, customer, agent, ear } = await scene('entries')
  ear.close()
  const other = await call('POST', '/createClientChat', {
    token: customer.token,
    body: { businessId: business.id, conversationType: 'SALES' },
  })
  const ids: string[] = []
  for (const id of [chat, other.body.newParticipantEntry.conversationId]) {
    const { body } = await call('GET', `/conversations/${id}/participants`, { token: agent.token })
    ids.push(...body.map((entry: { id: string }) => entry.id))
  }
  expect(new Set(ids).size).toBe(4)
  for (const [path, { token }] of [
    ['/getClientChats', customer],
    ['/getAgentChats', agent],
  ] as const) {
    const { body } = await call('GET', path, { token })
    expect(body.userAsParticipantList).toHaveLength(2)
    for (const entry of body.userAsParticipantList) expect(ids).toContain(entry.id)
  }
})

test('a text of 32 KiB is taken, one byte more is not', async () => {
  const { chat, customer, ear } = await scene('size')
  const longest = 'é'.repeat(16_384)
  expect((await send(chat, customer, longest)).body.body).toBe(longest)
  const refused = await send(chat, customer, `${longest}x`)
  expect({ status: refused.status, body: refused.body }).toEqual({
    status: 400,
    body: { error: 'body is too long' },
  })
  ear.close()
})

test('those who are here are those whom the caller may see, each once', async () => {
  const { business, customer, agent, ear } = await scene('present')
  const account = { username: 'present-two', email: 'present-two@example.com', password: 'pw' }
  const { body: second } = await call('POST', '/register-agent', {
    body: { ...account, businessId: business.id },
  })
  const { token } = (await call('POST', '/login', { body: account })).body
  const elsewhere = await scene('absent')
  const ears = await Promise.all(
    [agent.token, agent.token, token].map((each) => Ear.open(`${root}?token=${each}`)),
  )
  for (const each of ears) await each.hears('WELCOME')
  const expected = [
    { userId: customer.id, role: 'CUSTOMER' },
    { userId: agent.id, role: 'AGENT' },
    { userId: second.id, role: 'AGENT' },
  ]
  const byId = (a: { userId: string }, b: { userId: string }) => Number(a.userId) - Number(b.userId)
  for (const each of [customer.token, agent.token, token]) {
    const { body } = await call('GET', '/presence/online-users', { token: each })
    expect(body.sort(byId)).toEqual(expected.toSorted(byId))
  }
  for (const each of [ear, elsewhere.ear, ...ears]) each.close()
})

test('what happens at the desk is told here: answers, reading, but no notes', async () => {
  const { chat, customer, agent, ear } = await scene('desk')
  const conversationId = (await idOfAlias(db(), demo.workspaceId, 'decimal', 'conversation', chat)) ?? ''
  const olga = await demo.person('owner', 'Olga')
  await olga.call('message.note', { conversationId, clientMessageId: 'n', body: 'between us' })
  await olga.send(conversationId, 'from the desk')
  const heard = await ear.hears('NEW_MESSAGE_BY_AGENT')
  expect(heard.message).toMatchObject({ body: 'from the desk', readByAgents: true, readByCustomer: false })
  const { body: mine } = await send(chat, customer, 'thanks')
  await olga.call('receipt.markAllRead', { conversationId })
  const read = await ear.hears('UPDATED_READ_STATUS_OF_AGENTS')
  expect(read.message).toMatchObject({ id: mine.id, readByAgents: true })
  const history = await call('GET', `/conversations/${chat}/messages`, { token: customer.token })
  expect(history.body.map((message: { body: string }) => message.body)).toEqual(['from the desk', 'thanks'])
  // A page is a page of messages: notes, which only the team would see, take no place in it.
  await olga.call('message.note', { conversationId, clientMessageId: 'n2', body: 'between us, again' })
  const page = await call('GET', `/conversations/${chat}/messages?limit=1`, { token: agent.token })
  expect(page.body.map((message: { body: string }) => message.body)).toEqual(['thanks'])
  expect(JSON.stringify([...ear.heard, history.body])).not.toContain('between us')
  await olga.call('conversation.close', { conversationId })
  expect((await send(chat, customer, 'one more')).status).toBe(201)
  ear.close()
})

test('a file from the desk is a link that works for whoever is told of it', async () => {
  const { chat, customer, agent, ear } = await scene('file')
  const conversationId = (await idOfAlias(db(), demo.workspaceId, 'decimal', 'conversation', chat)) ?? ''
  const olga = await demo.person('owner', 'Olga')
  const attachmentId = await upload(demo, olga, conversationId)
  await olga.call('message.send', { conversationId, clientMessageId: 'f', attachmentIds: [attachmentId] })
  const { message } = await ear.hears('NEW_MESSAGE_BY_AGENT')
  expect(message).toMatchObject({
    contentType: 'FILE',
    body: null,
    mimeType: expect.stringContaining('text/plain'),
  })
  const shown = await call('GET', `/messages/${message.id}`, { token: agent.token })
  const history = await call('GET', `/conversations/${chat}/messages`, { token: customer.token })
  expect(history.body[0].fileUrl).toBe(message.fileUrl)
  expect(shown.body.message.fileUrl).not.toBe(message.fileUrl)
  for (const { fileUrl } of [message, shown.body.message])
    expect((await demo.rest('GET', fileUrl)).body).toBe('some bytes')
  ear.close()
})

test('of many messages read at once the newest fifty are told', async () => {
  const { chat, customer, agent, ear } = await scene('bulk')
  await Promise.all(Array.from({ length: 60 }, (_, i) => send(chat, customer, `line ${i}`)))
  const marked = await call('PATCH', `/conversations/${chat}/markAllAsRead/AGENT`, { token: agent.token })
  expect(marked.body).toEqual({ success: true, count: 60 })
  await expect.poll(() => ear.of('UPDATED_READ_STATUS_OF_AGENTS').length).toBe(50)
  const { body } = await call('GET', `/conversations/${chat}/messages`, { token: customer.token })
  const newest = body.slice(10).map((message: { id: string }) => message.id)
  expect(ear.of('UPDATED_READ_STATUS_OF_AGENTS').map((frame) => frame.message.id)).toEqual(newest)
  expect(body.every((message: { readByAgents: boolean }) => message.readByAgents)).toBe(true)
  ear.close()
})

test('sends are told to everybody in one order, and a client that names its send may repeat it', async () => {
  const { chat, customer, agent, ear } = await scene('order')
  const other = await Ear.open(`${root}/ws?token=${agent.token}`)
  await other.hears('WELCOME')
  const whose = [customer, agent]
  await Promise.all(Array.from({ length: 40 }, (_, i) => send(chat, whose[i % 2] ?? customer, `line ${i}`)))
  const ids = (of: Ear) =>
    of.heard.filter((frame) => frame.type.startsWith('NEW_MESSAGE')).map((frame) => frame.message.id)
  await expect.poll(() => ids(ear).length).toBe(40)
  await expect.poll(() => ids(other).length).toBe(40)
  expect(ids(other)).toEqual(ids(ear))
  const history = await call('GET', `/conversations/${chat}/messages`, { token: agent.token })
  expect(history.body.map((message: { id: string }) => message.id)).toEqual(ids(ear))
  const again = { senderId: customer.id, body: 'once', clientMessageId: 'k1' }
  const first = await call('POST', `/conversations/${chat}/messages`, { token: customer.token, body: again })
  const second = await call('POST', `/conversations/${chat}/messages`, { token: customer.token, body: again })
  expect(second.body).toEqual(first.body)
  const changed = { ...again, body: 'twice' }
  expect(
    (await call('POST', `/conversations/${chat}/messages`, { token: customer.token, body: changed })).status,
  ).toBe(409)
  ear.close()
  other.close()
})

test('an event stream tells what a socket tells, and goes on where it was', async () => {
  const { chat, customer, agent } = await scene('stream')
  const stream = await Stream.open(`${prefix}/events?token=${agent.token}`)
  await stream.hears('WELCOME')
  await send(chat, customer, 'first')
  expect(await stream.hears('NEW_MESSAGE_BY_CUSTOMER')).toMatchObject({ message: { body: 'first' } })
  const { lastId } = stream
  stream.close()
  await send(chat, customer, 'while away')
  const resumed = await Stream.open(`${prefix}/events?token=${agent.token}`, { 'last-event-id': lastId })
  await expect
    .poll(() => resumed.of('NEW_MESSAGE_BY_CUSTOMER').map((frame) => frame.message.body))
    .toEqual(['first', 'while away'])
  await send(chat, customer, 'live again')
  await expect.poll(() => resumed.of('NEW_MESSAGE_BY_CUSTOMER').length).toBe(3)
  resumed.close()
  for (const path of ['/events', '/events?token=nonsense']) expect((await call('GET', path)).status).toBe(401)
  const lost = await Stream.open(`${prefix}/events?token=${agent.token}&cursor=nonsense`)
  await lost.hears('REFRESH_CHATS')
  lost.close()
})

test('whoever is switched off is out at once, on REST and on open sockets', async () => {
  const { chat, customer, ear } = await scene('revoked')
  const olga = await demo.person('owner', 'Olga')
  const userId = (await idOfAlias(db(), demo.workspaceId, 'decimal', 'person', customer.id)) ?? ''
  await olga.call('user.update', { userId, active: false })
  await expect.poll(() => ear.code, { timeout: 2_000 }).toBe(4001)
  const refused = await call('GET', `/conversations/${chat}/messages`, { token: customer.token })
  expect({ status: refused.status, body: refused.body }).toEqual({
    status: 401,
    body: { message: 'Invalid token' },
  })
})

test('of several sign-ups for one name at one moment one is made', async () => {
  const account = { username: 'contested', email: 'c@example.com', password: 'pw' }
  const answers = await Promise.all(
    Array.from({ length: 5 }, (_, i) =>
      call('POST', '/register', { body: { ...account, email: `c${i}@example.com` } }),
    ),
  )
  expect(answers.map((answer) => answer.status).sort()).toEqual([200, 400, 400, 400, 400])
  for (const { status, body } of answers)
    if (status === 400) expect(body).toEqual({ error: 'Username already taken' })
})

test('guessing at sign-in and sign-up is limited, per address, and nothing else is', async () => {
  await using own = await startServer({ env: { RATE_LIMIT: 'on', PARLEY_MOUNTS: 'servicehub:0' } })
  for (const base of [`${own.url}/servicehub`, own.running.mounts[0]?.url ?? '']) {
    for (const path of ['/login', '/register', '/register-agent', '/register-business']) {
      const label = `${base}${path}`
      const guess = () => own.rest('POST', `${base}${path}`, { body: { password: '' } })
      const answers = await Promise.all(Array.from({ length: 30 }, guess))
      expect(new Set(answers.map(({ status }) => status)), label).toEqual(new Set([400]))
      const limited = await guess()
      expect([limited.status, limited.body], label).toEqual([
        429,
        { statusCode: 429, error: 'Too Many Requests', message: 'Too many requests; wait and try again' },
      ])
      const seconds = Number(limited.headers.get('retry-after'))
      expect(seconds, label).toBeGreaterThanOrEqual(1)
      expect(seconds, label).toBeLessThanOrEqual(60)
    }
    const lists = await Promise.all(
      Array.from({ length: 40 }, () => own.rest('GET', `${base}/getAllBusinesses`)),
    )
    expect(new Set(lists.map(({ status }) => status))).toEqual(new Set([200]))
  }
})

test('a frame that breaks the protocol ends its own connection only', async () => {
  const { customer, ear } = await scene('frames')
  const { hostname, port } = new URL(root)
  for (const bytes of [
    [0x81, 0x02, 0x68, 0x69],
    [0x83, 0x80, 0, 0, 0, 0],
    [0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe],
    [0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  ]) {
    const socket = connect(Number(port), hostname)
    const ended = once(socket, 'close')
    socket.on('error', () => {})
    socket.write(
      `GET /?token=${customer.token} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
    )
    await once(socket, 'data')
    socket.write(Buffer.from(bytes))
    socket.resume()
    await ended
  }
  expect(ear.code).toBeUndefined()
  expect((await call('GET', '/health')).body).toEqual({ status: 'ok' })
  ear.close()
})

test('bad input is refused in the shape of this dialect, whatever it is', async () => {
  const { chat, customer, agent } = await scene('bad')
  const { body: message } = await send(chat, customer, 'a line')
  const bodies = [
    null,
    [],
    'text',
    7,
    true,
    { senderId: {}, body: [] },
    deep(40),
    { senderId: customer.id, body: 'a\0' },
    { __proto__: null, constructor: 1, senderId: [] },
  ]
  const ids = [
    'abc',
    '0',
    '-1',
    '1e3',
    '99999999999999999999',
    '1%27',
    `${chat}_1`,
    '%00',
    demo.inboxId,
    '..%2F..',
  ]
  const attempts: [string, string, unknown?][] = []
  for (const id of ids) {
    for (const rest of ['/messages', '/participants']) attempts.push(['GET', `/conversations/${id}${rest}`])
    attempts.push(['GET', `/messages/${id}`], ['PATCH', `/conversations/${id}/markAllAsRead/CUSTOMER`])
    attempts.push(['PATCH', `/conversations/${chat}/messages/${id}/read/customer`])
    attempts.push(['POST', '/createClientChat', { businessId: id, conversationType: 'SUPPORT' }])
    attempts.push(['POST', `/conversations/${id}/messages`, { senderId: customer.id, body: 'x' }])
  }
  for (const body of bodies) {
    for (const path of ['/register', '/register-agent', '/register-business', '/login', '/createClientChat'])
      attempts.push(['POST', path, body])
    attempts.push(
      ['POST', `/conversations/${chat}/messages`, body],
      ['POST', `/conversations/${chat}/typing`, body],
    )
  }
  for (const role of ['agent', 'OWNER', 'customer', '%00'])
    attempts.push(['PATCH', `/conversations/${chat}/markAllAsRead/${role}`])
  attempts.push(['PATCH', `/conversations/${chat}/messages/${message.id}/read/owner`])
  for (const [method, path, body] of attempts) {
    const answer = await call(method, path, { token: customer.token, body })
    const label = `${method} ${path} ${JSON.stringify(body)} answered ${answer.status} ${JSON.stringify(answer.body)}`
    expect(answer.status, label).toBeGreaterThanOrEqual(400)
    expect(answer.status, label).toBeLessThan(500)
    expect(typeof (answer.body.error ?? answer.body.message), label).toBe('string')
    expect(JSON.stringify(answer.body), label).not.toMatch(insides)
  }
  for (const body of bodies) {
    const answer = await call('DELETE', '/deleteChatForAll', { token: agent.token, body })
    expect(answer.status, JSON.stringify(body)).toBe(400)
  }
  const large = await call('POST', `/conversations/${chat}/messages`, {
    token: customer.token,
    body: { senderId: customer.id, body: 'x'.repeat(1_100_000) },
  })
  expect(large.status).toBe(413)
  const history = await call('GET', `/conversations/${chat}/messages`, { token: customer.token })
  expect(history.body).toHaveLength(1)
})

test('nothing of another workspace is found, and its tokens open nothing', async () => {
  const { customer, agent, chat, ear } = await scene('here')
  ear.close()
  const elsewhere = await demo.workspace()
  const eve = await demo.person('contact', 'Eve', elsewhere.workspaceId)
  const { conversation } = await eve.call('conversation.create', {
    kind: 'support',
    inboxId: elsewhere.inboxId,
  })
  const message = await eve.send(conversation.id, 'secret')
  for (const [kind, id] of [
    ['conversation', conversation.id],
    ['inbox', elsewhere.inboxId],
  ] as const)
    await db()
      .insertInto('alias')
      .values({ workspace_id: elsewhere.workspaceId, scheme: 'decimal', kind, id, name: '987654321' })
      .execute()
  const hidden = messageName('987654321', message.seq)
  const { token } = customer
  const noConversation = { error: 'Conversation with given id not found' }
  const noSide = { error: 'Failed to mark message as read by customer' }
  for (const [method, path, said] of [
    ['GET', '/conversations/987654321/messages', noConversation],
    ['POST', '/conversations/987654321/messages', noConversation],
    ['PATCH', `/conversations/987654321/messages/${hidden}/read/customer`, noSide],
    ['PATCH', `/conversations/${chat}/messages/${hidden}/read/customer`, noSide],
    ['PATCH', '/conversations/987654321/markAllAsRead/CUSTOMER', noConversation],
    ['GET', '/conversations/987654321/participants', noConversation],
    ['POST', '/conversations/987654321/typing', noConversation],
    ['GET', `/messages/${hidden}`, { error: 'Message not found' }],
  ] as const) {
    const body = method === 'POST' ? { senderId: customer.id, userId: customer.id, body: 'x' } : undefined
    const answer = await call(method, path, { token, body })
    expect([answer.status, answer.body], `${method} ${path}`).toEqual([404, said])
  }
  const deletion = await call('DELETE', '/deleteChatForAll', {
    token: agent.token,
    body: { conversationId: '987654321' },
  })
  expect(deletion.status).toBe(404)
  expect((await eve.call('message.list', { conversationId: conversation.id })).messages).toHaveLength(1)
  const create = { businessId: '987654321', conversationType: 'SUPPORT' }
  expect((await call('POST', '/createClientChat', { token, body: create })).status).toBe(400)
  const key = await keyFor(demo.running.parley.chat, `dialect servicehub ${elsewhere.workspaceId}`)
  const foreign = await new SignJWT({ ...decodeJwt(token) }).setProtectedHeader({ alg: 'HS256' }).sign(key)
  expect((await call('GET', '/getUserDetails', { token: foreign })).status).toBe(401)
  expect((await call('GET', '/getUserDetails', { token: eve.token })).status).toBe(401)
})

describe('in a workspace of its own', () => {
  const secret = 'a registration secret for scripts'
  const options =
    'anonymousConversationRoutes=legacy&corsOrigin=https://app.example&businessSignup=operator&directConversations=refused'
  let own: TestServer
  let legacy: string
  let owner: Person
  beforeAll(async () => {
    own = await startServer({
      env: { REGISTRATION_SECRET: secret, TRUST_PROXY: 'on', PARLEY_MOUNTS: `servicehub:0?${options}` },
    })
    legacy = own.running.mounts[0]?.url ?? ''
    owner = await own.person('owner', 'Olga')
  })
  afterAll(() => own[Symbol.asyncDispose]())

  const post = (path: string, body: unknown, headers = {}) =>
    own.rest('POST', `/servicehub${path}`, { body, headers })
  const at = (method: string, path: string, { body, token, headers = {} }: Call = {}) =>
    own.rest(method, `${legacy}${path}`, { body, token, headers })
  let count = 0
  const account = (more = {}) => ({
    username: `u${++count}`,
    email: `u${count}@example.com`,
    password: 'pw',
    ...more,
  })
  const granted = { 'x-registration-secret': secret }
  const people = async () =>
    (await own.running.parley.chat.db.selectFrom('person').select('id').execute()).length

  test('staff and businesses need a grant, and refusal stores nothing', async () => {
    expect((await post('/register', account())).status).toBe(200)
    const { body: business } = await post('/register-business', { name: 'Acme' }, granted)
    expect(business).toEqual({ id: expect.stringMatching(/^\d+$/), name: 'Acme' })
    const before = await people()
    for (const [path, body] of [
      ['/register', account({ role: 'AGENT' })],
      ['/register-agent', account({ businessId: business.id })],
      ['/register-business', { name: 'Evil' }],
    ] as const) {
      for (const headers of [{}, { 'x-registration-secret': 'wrong' }]) {
        const refused = await post(path, body, headers)
        expect(refused.status, path).toBe(403)
        expect(refused.body).toEqual({ error: expect.any(String) })
      }
    }
    expect(await people()).toBe(before)
    expect((await own.rest('GET', '/servicehub/getAllBusinesses')).body.businesses).toEqual([business])
    expect((await post('/register-agent', account({ businessId: business.id }), granted)).status).toBe(200)
    const inBody = account({ role: 'AGENT', registrationSecret: secret })
    expect((await post('/register', inBody)).body.role).toBe('AGENT')
  })

  test('the other modes: invite, pending, closed', async () => {
    const { body: business } = await post('/register-business', { name: 'Modes' }, granted)
    await owner.call('workspace.update', { registration: 'invite' })
    expect((await post('/register', account())).status).toBe(403)
    const { token } = await owner.call('invitation.create', { role: 'agent' })
    expect(
      (await post('/register-agent', account({ businessId: business.id, invitation: token }))).status,
    ).toBe(200)
    await owner.call('workspace.update', { registration: 'pending' })
    expect((await post('/register', account({ role: 'AGENT' }))).body.role).toBe('CUSTOMER')
    expect((await post('/register-business', { name: 'Later' })).status).toBe(403)
    await owner.call('workspace.update', { registration: 'closed' })
    expect((await post('/register', account(), granted)).status).toBe(403)
    expect((await post('/register-business', { name: 'Never' }, granted)).status).toBe(403)
    await owner.call('workspace.update', { registration: 'customer_only' })
  })

  test('with businessSignup=operator only an admin founds a business', async () => {
    expect((await at('POST', '/register-business', { body: { name: 'B' }, headers: granted })).status).toBe(
      403,
    )
    expect((await at('POST', '/register-business', { body: { name: 'B' }, token: owner.token })).status).toBe(
      200,
    )
    const sam = await own.person('agent', 'Sam')
    expect((await at('POST', '/register-business', { body: { name: 'B' }, token: sam.token })).status).toBe(
      403,
    )
  })

  test('the configured origin is the one that may read answers', async () => {
    const allowed = async (origin: string) =>
      (await at('GET', '/health', { headers: { origin } })).headers.get('access-control-allow-origin')
    expect(await allowed('https://app.example')).toBe('https://app.example')
    expect(await allowed('http://localhost:3000')).toBe('http://localhost:3000')
    expect(await allowed('http://localhost:5173')).toBeNull()
  })

  test('a page of the same origin is known by its cookie, a page of another is not', async () => {
    const customer = account()
    await post('/register', customer)
    const login = await at('POST', '/login', { body: customer })
    const cookie = login.headers.get('set-cookie') ?? ''
    expect(cookie).toMatch(/^servicehub_session=[\w.-]+; Path=\/; Max-Age=3600; HttpOnly; SameSite=Strict$/)
    const pair = cookie.split(';')[0] ?? ''
    const asks = (headers: Record<string, string>) =>
      at('GET', '/presence/online-users', { headers: { cookie: pair, ...headers } })
    expect((await asks({})).status).toBe(200)
    expect((await asks({ origin: new URL(legacy).origin })).status).toBe(200)
    expect((await asks({ origin: 'https://evil.example' })).status).toBe(401)
    expect((await at('GET', '/getUserDetails', { headers: { cookie: pair } })).status).toBe(401)
  })

  test('legacy clients without a token are known by their open socket, and by nothing else', async () => {
    const { body: business } = await post('/register-business', { name: 'Old' }, granted)
    const customer = account()
    const { body: person } = await post('/register', customer)
    const { token } = (await post('/login', customer)).body
    const create = { businessId: business.id, conversationType: 'DIRECT' }
    expect((await at('POST', '/createClientChat', { token, body: create })).status).toBe(403)
    const made = await at('POST', '/createClientChat', {
      token,
      body: { ...create, conversationType: 'SUPPORT' },
    })
    const chat = made.body.newParticipantEntry.conversationId
    const line = { senderId: person.id, body: 'without a token' }
    expect((await at('POST', `/conversations/${chat}/messages`, { body: line })).status).toBe(401)
    const ear = await Ear.open(`${legacy}/ws?token=${token}`)
    await ear.hears('WELCOME')
    const sent = await at('POST', `/conversations/${chat}/messages`, { body: line })
    expect(sent.status).toBe(201)
    expect((await at('GET', `/messages/${sent.body.id}`)).body.message.body).toBe('without a token')
    expect((await at('GET', `/conversations/${chat}/messages`)).body).toHaveLength(1)
    expect((await at('PATCH', `/conversations/${chat}/markAllAsRead/CUSTOMER`)).body).toEqual({
      success: true,
      count: 0,
    })
    expect(
      (
        await at('POST', `/conversations/${chat}/typing`, {
          body: { userId: Number(person.id), username: 'u', isTyping: true },
        })
      ).body,
    ).toEqual({ success: true })
    const elsewhere = { 'x-forwarded-for': '203.0.113.9' }
    for (const [method, path, body] of [
      ['GET', `/conversations/${chat}/messages`, undefined],
      ['POST', `/conversations/${chat}/messages`, line],
      ['GET', '/presence/online-users', undefined],
    ] as const)
      expect((await at(method, path, { body, headers: elsewhere })).status, `${method} ${path}`).toBe(401)
    const alone = await at('GET', '/presence/online-users')
    expect(alone.body).toEqual([{ userId: person.id, role: 'CUSTOMER' }])
    const { body: other } = await post('/register', account())
    const stranger = { senderId: other.id, body: 'as somebody else' }
    expect((await at('POST', `/conversations/${chat}/messages`, { body: stranger })).status).toBe(403)
    const nobody = { senderId: '999999', body: 'as nobody' }
    expect((await at('POST', `/conversations/${chat}/messages`, { body: nobody })).body).toEqual({
      error: 'Sender not found',
    })
    // An agent of theirs behind the same address changes nothing: each side is marked by its own people.
    const agent = account({ businessId: business.id })
    const { body: agentMade } = await at('POST', '/register-agent', { body: agent, headers: granted })
    const agentsToken = (await post('/login', agent)).body.token
    const agentEar = await Ear.open(`${legacy}/ws?token=${agentsToken}`)
    await agentEar.hears('WELCOME')
    const answer = { senderId: agentMade.id, body: 'from an agent' }
    const answered = await at('POST', `/conversations/${chat}/messages`, { body: answer })
    expect([answered.status, answered.body.readByAgents]).toEqual([201, true])
    const byCustomer = `/conversations/${chat}/messages/${answered.body.id}/read/customer`
    const read = await at('PATCH', byCustomer)
    expect([read.status, read.body]).toEqual([
      200,
      { success: true, message: expect.objectContaining({ id: answered.body.id, readByCustomer: true }) },
    ])
    const second = await at('POST', `/conversations/${chat}/messages`, { body: line })
    const byAgent = `/conversations/${chat}/messages/${second.body.id}/read/agent`
    expect((await at('PATCH', byAgent)).body).toEqual({
      success: true,
      message: expect.objectContaining({ id: second.body.id, readByAgents: true }),
    })
    const { body: participants } = await at('GET', `/conversations/${chat}/participants`)
    expect(participants.map((entry: { userId: string }) => entry.userId).sort()).toEqual(
      [person.id, agentMade.id].sort(),
    )
    const here = await at('GET', '/presence/online-users')
    expect(here.body.map((one: { userId: string }) => one.userId).sort()).toEqual(
      [person.id, agentMade.id].sort(),
    )
    expect((await at('PATCH', `/conversations/${chat}/markAllAsRead/CUSTOMER`)).status).toBe(200)
    expect((await at('PATCH', `/conversations/${chat}/markAllAsRead/AGENT`)).body).toEqual({
      success: true,
      count: 1,
    })
    agentEar.close()
    // With the agent gone nobody stands behind the agents' side, nor behind a chat of other people.
    await expect.poll(async () => (await at('PATCH', byAgent)).status).toBe(403)
    const somebody = account()
    await post('/register', somebody)
    const theirToken = (await post('/login', somebody)).body.token
    const theirs = await at('POST', '/createClientChat', {
      token: theirToken,
      body: { businessId: business.id, conversationType: 'SUPPORT' },
    })
    const theirChat = theirs.body.newParticipantEntry.conversationId
    for (const [method, path] of [
      ['GET', `/conversations/${theirChat}/messages`],
      ['PATCH', `/conversations/${theirChat}/messages/${sent.body.id}/read/customer`],
      ['PATCH', `/conversations/${theirChat}/markAllAsRead/CUSTOMER`],
      ['GET', `/conversations/${theirChat}/participants`],
    ] as const)
      expect((await at(method, path)).status, `${method} ${path}`).toBe(403)
    const theirEar = await Ear.open(`${legacy}/ws?token=${theirToken}`)
    await theirEar.hears('WELCOME')
    for (const each of [chat, theirChat])
      expect((await at('GET', `/conversations/${each}/participants`)).status).toBe(200)
    theirEar.close()
    expect((await at('GET', '/getClientChats')).status).toBe(401)
    expect((await own.rest('GET', `/servicehub/conversations/${chat}/messages`)).status).toBe(401)
    ear.close()
    await expect.poll(async () => (await at('GET', `/conversations/${chat}/messages`)).status).toBe(401)
    for (const [method, path] of [
      ['PATCH', byCustomer],
      ['PATCH', byAgent],
      ['GET', `/conversations/${chat}/participants`],
      ['GET', '/presence/online-users'],
    ] as const)
      expect((await at(method, path)).status, `${method} ${path}`).toBe(401)
  })
})

const call = (method: string, path: string, { body, token, headers = {} }: Call = {}): Promise<Answer> =>
  demo.rest(method, `/servicehub${path}`, { body, token, headers })
type Call = { body?: unknown; token?: string; headers?: Record<string, string> }

/** Tokens that only somebody with the server's own key could have made, and one of somebody who is gone. */
async function specialTokens(): Promise<Record<string, string>> {
  const { chat } = demo.running.parley
  const key = await keyFor(chat, `dialect servicehub ${demo.workspaceId}`)
  const sign = (claims: Record<string, unknown>, lifetime: number) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256' })
      .setExpirationTime(Math.floor(Date.now() / 1000) + lifetime)
      .sign(key)
  const { token: gone } = await signUp('gone')
  await chat.db
    .updateTable('person')
    .set({ deactivated_at: new Date().toISOString() })
    .where('username', '=', 'gone')
    .execute()
  // Claims of a session that stands: nothing but what is wrong with each of these tokens keeps it out.
  const { id, token } = await signUp('patient')
  const claims = decodeJwt(token)
  const unsigned = [{ alg: 'none' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const signed = (alg: string, by: Uint8Array) =>
    new SignJWT({ ...claims }).setProtectedHeader({ alg }).sign(by)
  return {
    gone,
    patient: id,
    unexpired: await sign(claims, 60),
    expired: await sign(claims, -60),
    unsigned: `${unsigned}.`,
    forged: await signed('HS256', randomBytes(32)),
    otherAlgorithm: await signed('HS512', key),
    withoutId: await sign({ role: 'AGENT' }, 60),
    // No store can look for a person of this id: reading it is a fault of ours.
    unreadable: await sign({ id: '1', role: 'AGENT', sub: 'no uuid', sid: 'no uuid', sv: 1 }, 60),
  }
}

async function signUp(username: string): Promise<{ id: string; token: string }> {
  const account = { username, email: `${username}@example.com`, password: 'a password' }
  const { body } = await call('POST', '/register', { body: account })
  const login = await call('POST', '/login', { body: account })
  return { id: body.id, token: login.body.token }
}

const db = () => demo.running.parley.chat.db
const run = promisify(execFile)
const deep = (levels: number): unknown => (levels === 0 ? 'x' : { senderId: deep(levels - 1) })

type Somebody = { id: string; token: string }

const send = (chat: string, who: Somebody, body: string) =>
  call('POST', `/conversations/${chat}/messages`, { token: who.token, body: { senderId: who.id, body } })

/** A business with an agent and a customer, who has a chat open and listens. */
async function scene(name: string) {
  const { body: business } = await call('POST', '/register-business', { body: { name } })
  const account = { username: `${name}-agent`, email: `${name}-agent@example.com`, password: 'pw' }
  const made = await call('POST', '/register-agent', { body: { ...account, businessId: business.id } })
  const login = await call('POST', '/login', { body: account })
  const agent = { id: made.body.id as string, token: login.body.token as string }
  const customer = await signUp(`${name}-customer`)
  const created = await call('POST', '/createClientChat', {
    token: customer.token,
    body: { businessId: business.id, conversationType: 'SUPPORT' },
  })
  const chat: string = created.body.newParticipantEntry.conversationId
  const ear = await Ear.open(`${root}?token=${customer.token}`)
  await ear.hears('WELCOME')
  return { business, agent, customer, chat, ear }
}

// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by asserting it.
type Heard = { type: string; message?: any }

/** What somebody hears, by the types of frames. */
abstract class Hearing {
  readonly heard: Heard[] = []
  code: number | undefined

  of(type: string): Heard[] {
    return this.heard.filter((frame) => frame.type === type)
  }

  async hears(type: string): Promise<Heard> {
    await expect.poll(() => this.of(type).length, { timeout: 5_000, message: type }).toBeGreaterThan(0)
    return this.of(type)[0] ?? { type }
  }
}

class Ear extends Hearing {
  #socket: WebSocket

  static async open(url: string): Promise<Ear> {
    const socket = new WebSocket(url.replace(/^http/, 'ws'))
    const ear = new Ear(socket)
    await once(socket, 'open')
    return ear
  }

  constructor(socket: WebSocket) {
    super()
    this.#socket = socket
    socket.on('message', (data) => this.heard.push(JSON.parse(data.toString())))
    socket.on('close', (code) => {
      this.code = code
    })
  }

  close(): void {
    this.#socket.terminate()
  }
}

class Stream extends Hearing {
  lastId = ''
  #abort = new AbortController()

  static async open(url: string, headers: Record<string, string> = {}): Promise<Stream> {
    const stream = new Stream()
    const response = await fetch(url, { headers, signal: stream.#abort.signal })
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    stream.#read(response).catch(() => {})
    return stream
  }

  close(): void {
    this.#abort.abort()
  }

  async #read(response: Response): Promise<void> {
    let rest = ''
    for await (const chunk of response.body ?? []) {
      const events = (rest + Buffer.from(chunk).toString()).split('\n\n')
      rest = events.pop() ?? ''
      for (const event of events) {
        this.lastId = /^id: (.+)$/m.exec(event)?.[1] ?? this.lastId
        const data = /^data: (.+)$/m.exec(event)?.[1]
        if (data) this.heard.push(JSON.parse(data))
      }
    }
  }
}
