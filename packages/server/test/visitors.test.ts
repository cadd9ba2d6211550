import { createSecretKey, randomBytes } from 'node:crypto'
import { limits } from '@parley/protocol'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Answer, Person, startServer, type TestServer } from '../src/testing.ts'
import { upload } from './world.ts'

let server: TestServer
let owner: Person
let agent: Person
const secret = randomBytes(24).toString('hex')

beforeAll(async () => {
  server = await startServer()
  owner = await server.person('owner', 'Olga')
  agent = await server.person('agent', 'Abe')
  await owner.call('identityKey.create', { kind: 'hs256', secret, staffRoles: { staff: 'agent' } })
})
afterAll(() => server[Symbol.asyncDispose]())

const origin = 'https://shop.example'
const visit = (body: object = {}, key = server.widgetKey, from: string | null = origin) =>
  server.rest('POST', `/api/v1/widget/${key}/session`, { body, headers: from ? { origin: from } : {} })
const codeOf = (answer: Answer) => answer.body.error?.code ?? answer.status
const identity = (sub: string, claims: Record<string, unknown> = {}, inboxId = server.inboxId) =>
  new SignJWT({ sub, aud: inboxId, exp: Math.floor(Date.now() / 1000) + 3600, ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(createSecretKey(secret, 'utf8'))
const personOf = ({ body }: Answer) => new Person(server.url, body.user.id, body.user.name, body.accessToken)
const newInbox = (more = {}) => owner.call('inbox.create', { name: 'Shop', ...more })

test('a visitor begins without a name, comes back as the same person, and may say a name later', async () => {
  const first = await visit()
  expect(first.status).toBe(201)
  expect(first.body).toMatchObject({
    inboxId: server.inboxId,
    user: { name: 'Visitor', role: 'contact', verified: false },
  })
  const { visitorToken } = first.body
  const second = await visit({ visitorToken, name: 'Vera' })
  expect(second.body).toMatchObject({ visitorToken, user: { id: first.body.user.id, name: 'Vera' } })
  const me = await personOf(second).call('me.get', {})
  expect(me).toMatchObject({ user: { name: 'Vera' }, inboxIds: [] })
  const stored = await server.running.parley.chat.db.selectFrom('session').selectAll().execute()
  expect(JSON.stringify(stored)).not.toContain(visitorToken)
})

test('a visitor token is bound to its inbox; an unknown one is refused loudly', async () => {
  const { visitorToken } = (await visit()).body
  const other = await newInbox()
  expect(codeOf(await visit({ visitorToken }, other.widgetKey))).toBe('unauthenticated')
  expect(codeOf(await visit({ visitorToken: randomBytes(32).toString('base64url') }))).toBe('unauthenticated')
  expect(codeOf(await visit({}, 'no-such-widget'))).toBe('not_found')
})

test('only the inbox’s own pages begin a visit', async () => {
  const inbox = await newInbox({ origins: ['https://Shop.example:443', 'http://localhost:8080'] })
  expect(inbox.origins).toEqual(['https://shop.example', 'http://localhost:8080'])
  expect((await visit({}, inbox.widgetKey)).status).toBe(201)
  for (const from of [
    'https://evil.example',
    'http://shop.example',
    'https://shop.example.evil.example',
    'null',
    null,
  ]) {
    expect([from, codeOf(await visit({}, inbox.widgetKey, from))]).toEqual([from, 'origin_refused'])
  }
  const config = await server.rest('GET', `/api/v1/widget/${inbox.widgetKey}`, { headers: { origin } })
  expect(config.body).toMatchObject({ name: 'Shop', identityRequired: false })
  const refused = await server.rest('GET', `/api/v1/widget/${inbox.widgetKey}`, {
    headers: { origin: 'https://evil.example' },
  })
  expect(codeOf(refused)).toBe('origin_refused')
  for (const bad of ['https://user@shop.example', 'https://shop.example?x']) {
    expect(codeOf(await owner.try('inbox.update', { inboxId: inbox.id, origins: [bad] }))).toBe(
      'invalid_request',
    )
  }
})

test('an anonymous visitor who signs in becomes that person, history and all', async () => {
  const anonymous = await visit()
  const { visitorToken } = anonymous.body
  const { conversation } = await personOf(anonymous).call('conversation.create', {
    kind: 'support',
    inboxId: server.inboxId,
  })
  const known = await visit({
    visitorToken,
    identity: await identity('u1', { name: 'Una', email: 'una@example.com' }),
  })
  expect(known.body).toMatchObject({
    visitorToken,
    user: { id: anonymous.body.user.id, externalId: 'u1', name: 'Una', verified: true, role: 'contact' },
  })
  expect(
    (await personOf(known).call('conversation.get', { conversationId: conversation.id })).conversation.id,
  ).toBe(conversation.id)
})

test('where the person is known already, what this browser said before joins them, once', async () => {
  await visit({ identity: await identity('u2', { name: 'Udo' }) })
  const anonymous = await visit()
  const { visitorToken } = anonymous.body
  const { conversation } = await personOf(anonymous).call('conversation.create', {
    kind: 'support',
    inboxId: server.inboxId,
  })
  const conversationId = conversation.id
  await personOf(anonymous).send(conversationId, 'before I signed in')
  const proof = await identity('u2', { name: 'Udo' })
  const both = await Promise.all([
    visit({ visitorToken, identity: proof }),
    visit({ visitorToken, identity: proof }),
  ])
  for (const known of both) expect(known.status).toBe(201)
  const [known] = both
  if (!known) throw new Error('There were two')
  expect(known.body.user.id).not.toBe(anonymous.body.user.id)
  const { messages } = await personOf(known).call('message.list', { conversationId })
  expect(messages.map(({ body }) => body)).toEqual(['before I signed in'])
  const { events } = await agent.call('log.list', { conversationId, after: 0 })
  const joined = events.filter(
    (event) => event.type === 'participant.joined' && event.participant.userId === known.body.user.id,
  )
  expect(joined).toHaveLength(1)
  expect(codeOf(await personOf(anonymous).try('me.get', {}))).toBe('unauthenticated')
  const later = await visit({ visitorToken })
  expect(later.body.user.id).toBe(known.body.user.id)
})

test('many browsers that bring one new identity at once are one person', async () => {
  for (let round = 0; round < 5; round++) {
    const proof = await identity(`crowd${round}`)
    const tokens = await Promise.all([1, 2, 3].map(async () => (await visit()).body.visitorToken as string))
    const answers = await Promise.all(
      [...tokens, undefined, undefined].map((visitorToken) => visit({ visitorToken, identity: proof })),
    )
    expect(answers.map((answer) => answer.status)).toEqual([201, 201, 201, 201, 201])
    expect(new Set(answers.map((answer) => answer.body.user.id)).size).toBe(1)
  }
})

test('history never joins by e-mail, nor from a browser that somebody known used', async () => {
  const email = 'same@example.com'
  const anonymous = await visit({ name: 'Ann' })
  await agent.call('contact.update', { userId: anonymous.body.user.id, email })
  const { conversation } = await personOf(anonymous).call('conversation.create', {
    kind: 'support',
    inboxId: server.inboxId,
  })
  const claims = await visit({ identity: await identity('u3', { email }) })
  expect(claims.body.user.id).not.toBe(anonymous.body.user.id)
  expect((await personOf(claims).try('conversation.get', { conversationId: conversation.id })).status).toBe(
    404,
  )

  const somebodyElse = await visit({ visitorToken: claims.body.visitorToken, identity: await identity('u4') })
  expect(somebodyElse.body.user.externalId).toBe('u4')
  expect(somebodyElse.body.visitorToken).not.toBe(claims.body.visitorToken)
  expect((await visit({ visitorToken: claims.body.visitorToken })).body.user.externalId).toBe('u3')
})

test('an identity is for this inbox, for a day at most, and its failure is not passed over', async () => {
  const now = Math.floor(Date.now() / 1000)
  const other = await newInbox()
  const refused = {
    'another inbox': await identity('x', {}, other.id),
    'no audience': await identity('x', { aud: undefined }),
    'two days': await identity('x', { exp: now + 48 * 3600 }),
    'no end': await identity('x', { exp: undefined }),
    expired: await identity('x', { exp: now - 60 }),
    'not yet': await identity('x', { nbf: now + 600 }),
    forged: `${(await identity('x')).slice(0, -6)}AAAAAA`,
    nonsense: 'nonsense',
  }
  for (const [what, token] of Object.entries(refused)) {
    expect([what, codeOf(await visit({ identity: token }))]).toEqual([what, 'unauthenticated'])
    const { visitorToken } = (await visit()).body
    expect([what, codeOf(await visit({ visitorToken, identity: token }))]).toEqual([what, 'unauthenticated'])
  }
})

test('a key bound to an inbox speaks for that inbox only', async () => {
  const inbox = await newInbox()
  const bound = randomBytes(24).toString('hex')
  await owner.call('identityKey.create', { kind: 'hs256', secret: bound, inboxId: inbox.id })
  const signed = (aud: string) =>
    new SignJWT({ sub: 'b', aud, exp: Math.floor(Date.now() / 1000) + 60 })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(createSecretKey(bound, 'utf8'))
  expect((await visit({ identity: await signed(inbox.id) }, inbox.widgetKey)).status).toBe(201)
  expect(codeOf(await visit({ identity: await signed(server.inboxId) }))).toBe('unauthenticated')
  const exchange = (body: object) => server.rest('POST', '/api/v1/auth/exchange', { body })
  expect(codeOf(await exchange({ token: await signed(inbox.id) }))).toBe('unauthenticated')
  const session = await exchange({ token: await signed(inbox.id), inboxId: inbox.id })
  expect(session.body.user.externalId).toBe('b')
})

test('in a widget everybody is a contact, and stays what they are elsewhere', async () => {
  const staff = await server.rest('POST', '/api/v1/auth/exchange', {
    body: { token: await identity('works-here', { aud: undefined, role: 'staff' }) },
  })
  expect(staff.body.user.role).toBe('agent')
  const known = await visit({ identity: await identity('works-here', { role: 'customer' }) })
  expect(known.body.user).toMatchObject({ id: staff.body.user.id, role: 'contact' })
  expect(codeOf(await personOf(known).try('user.list', {}))).toBe('forbidden')
  expect((await server.rest('GET', '/api/v1/users', { token: staff.body.tokens.accessToken })).status).toBe(
    200,
  )
})

test('with enforcement on, nobody is here without proof, whoever came before included', async () => {
  const inbox = await newInbox()
  const before = await visit({}, inbox.widgetKey)
  expect((await personOf(before).try('me.get', {})).status).toBe(200)
  await owner.call('inbox.update', { inboxId: inbox.id, identityRequired: true })
  expect(codeOf(await personOf(before).try('me.get', {}))).toBe('unauthenticated')
  expect(codeOf(await visit({}, inbox.widgetKey))).toBe('unauthenticated')
  expect(codeOf(await visit({ visitorToken: before.body.visitorToken }, inbox.widgetKey))).toBe(
    'unauthenticated',
  )
  const proof = await identity('u9', {}, inbox.id)
  const known = await visit({ visitorToken: before.body.visitorToken, identity: proof }, inbox.widgetKey)
  expect(known.body.user.id).toBe(before.body.user.id)
  expect((await personOf(known).try('me.get', {})).status).toBe(200)
})

test('a visitor who was switched off is out, token and all', async () => {
  const first = await visit()
  await owner.call('user.update', { userId: first.body.user.id, active: false })
  expect(codeOf(await personOf(first).try('me.get', {}))).toBe('unauthenticated')
  expect(codeOf(await visit({ visitorToken: first.body.visitorToken }))).toBe('unauthenticated')
})

test('[A18] a visitor opens a bounded number of conversations, however many at once', async () => {
  const vera = personOf(await visit())
  const open = (clientKey: string) => vera.try('conversation.create', { kind: 'support', clientKey })
  const keys = Array.from({ length: limits.openConversationsPerVisitor + 5 }, (_, i) => `key ${i}`)
  const answers = await Promise.all(keys.map(open))
  const refused = answers.filter(({ status }) => status !== 201)
  expect(refused).toHaveLength(5)
  for (const { body } of refused) {
    expect(body.error).toMatchObject({
      code: 'too_many_conversations',
      limit: limits.openConversationsPerVisitor,
    })
  }
  const { conversations } = await vera.call('conversation.list', {})
  expect(conversations).toHaveLength(limits.openConversationsPerVisitor)
  // The same one again is no further one; one that is closed makes room.
  const known = keys[answers.findIndex(({ status }) => status === 201)] ?? ''
  expect((await open(known)).status).toBeLessThan(300)
  const conversationId = conversations[0]?.conversation.id ?? ''
  await vera.call('conversation.close', { conversationId })
  expect((await open('one more')).status).toBe(201)
})

test('[A18] a visitor leaves a bounded number of files unsent', async () => {
  const vera = personOf(await visit())
  const { conversation } = await vera.call('conversation.create', { kind: 'support' })
  const files: string[] = []
  for (let i = 0; i < limits.unsentFilesPerVisitor; i++)
    files.push(await upload(server, vera, conversation.id))
  expect(files.every(Boolean)).toBe(true)
  expect(await upload(server, vera, conversation.id)).toBeUndefined()
  await vera.call('message.send', {
    conversationId: conversation.id,
    clientMessageId: 'files',
    body: '',
    attachmentIds: files.slice(0, 2),
  })
  expect(await upload(server, vera, conversation.id)).toEqual(expect.any(String))
  const { conversation: other } = await agent.call('conversation.create', { kind: 'group' })
  for (let i = 0; i <= limits.unsentFilesPerVisitor; i++)
    expect(await upload(server, agent, other.id)).toEqual(expect.any(String))
})
