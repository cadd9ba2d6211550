import { afterAll, beforeAll, expect, test } from 'vitest'
import { hashPassword } from '../src/chat/passwords.ts'
import { type Answer, Person, startServer, type TestServer } from '../src/testing.ts'

let server: TestServer
let owner: Person
let admin: Person
let supervisor: Person
let agent: Person

beforeAll(async () => {
  server = await startServer()
  owner = await server.person('owner', 'Olga')
  admin = await server.person('admin', 'Ada')
  supervisor = await server.person('supervisor', 'Sue')
  agent = await server.person('agent', 'Abe')
})
afterAll(() => server[Symbol.asyncDispose]())

const codeOf = (answer: Answer) => answer.body.error?.code ?? answer.status

test('[A8] roles are changed from above only', async () => {
  const peer = await server.person('admin', 'Peer')
  const attempts = [
    [admin, peer, { role: 'agent' }, 'forbidden'],
    [admin, agent, { role: 'admin' }, 'forbidden'],
    [admin, owner, { active: false }, 'forbidden'],
    [admin, admin, { role: 'owner' }, 'forbidden'],
    [supervisor, agent, { name: 'x' }, 'forbidden'],
    [admin, agent, { role: 'supervisor' }, 200],
    [admin, agent, { role: 'agent', name: 'Abel' }, 200],
    [owner, peer, { role: 'owner' }, 200],
    [owner, peer, { role: 'admin' }, 200],
  ] as const
  for (const [who, whom, input, expected] of attempts) {
    expect([input, codeOf(await who.try('user.update', { userId: whom.userId, ...input }))]).toEqual([
      input,
      expected,
    ])
  }
  const audit = await owner.call('audit.list', { limit: 1 })
  expect(audit.entries[0]).toMatchObject({
    action: 'user.update',
    actorId: owner.userId,
    targetId: peer.userId,
    before: { role: 'owner' },
    after: { role: 'admin' },
    address: '127.0.0.1',
  })
})

test('[A8] the last owner stays, whoever is faster', async () => {
  for (let round = 0; round < 5; round++) {
    const { workspaceId } = await server.workspace()
    const first = await server.person('owner', 'First', workspaceId)
    expect(codeOf(await first.try('user.update', { userId: first.userId, role: 'admin' }))).toBe('last_owner')
    expect(codeOf(await first.try('user.update', { userId: first.userId, active: false }))).toBe('last_owner')
    const second = await server.person('owner', 'Second', workspaceId)
    const answers = await Promise.all([
      first.try('user.update', { userId: second.userId, role: 'admin' }),
      second.try('user.update', { userId: first.userId, active: false }),
    ])
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
    const owners = await server.running.parley.chat.db
      .selectFrom('person')
      .select('id')
      .where('workspace_id', '=', workspaceId)
      .where('role', '=', 'owner')
      .where('deactivated_at', 'is', null)
      .execute()
    expect(owners).toHaveLength(1)
  }
})

test('whoever is switched off is out at once, and comes back only by signing in again', async () => {
  const leaver = await server.person('agent', 'Lee')
  await leaver.call('me.get', {})
  await admin.call('user.update', { userId: leaver.userId, active: false })
  expect(codeOf(await leaver.try('me.get', {}))).toBe('unauthenticated')
  await admin.call('user.update', { userId: leaver.userId, active: true })
  expect(codeOf(await leaver.try('me.get', {}))).toBe('unauthenticated')
})

test('whoever leaves the team works in no inbox any more', async () => {
  const leaver = await server.person('agent', 'Kim')
  await admin.call('user.update', { userId: leaver.userId, role: 'contact' })
  const { members } = await supervisor.call('inboxMember.list', { inboxId: server.inboxId })
  expect(members.map(({ userId }) => userId)).not.toContain(leaver.userId)
  expect(codeOf(await leaver.try('inbox.list', {}))).toBe('forbidden')
  const put = { inboxId: server.inboxId, userId: leaver.userId }
  expect(codeOf(await admin.try('inboxMember.put', put))).toBe('not_found')
})

test('inboxes: made and changed by admins, seen by those who work in them', async () => {
  const inbox = await admin.call('inbox.create', { name: 'Sales', reopenHours: 0 })
  expect(inbox).toMatchObject({ name: 'Sales', kind: 'team', reopenHours: 0, origins: [] })
  expect(codeOf(await agent.try('inbox.create', { name: 'Mine' }))).toBe('forbidden')
  expect(codeOf(await agent.try('inbox.get', { inboxId: inbox.id }))).toBe('not_found')
  expect(codeOf(await agent.try('inboxMember.list', { inboxId: inbox.id }))).toBe('not_found')
  const member = await admin.call('inboxMember.put', {
    inboxId: inbox.id,
    userId: agent.userId,
    role: 'supervisor',
  })
  expect(member).toMatchObject({ userId: agent.userId, role: 'supervisor' })
  expect((await agent.call('inbox.get', { inboxId: inbox.id })).id).toBe(inbox.id)
  expect((await agent.call('me.get', {})).inboxIds).toContain(inbox.id)
  await admin.call('inbox.update', { inboxId: inbox.id, name: 'Sales 2', color: '#123456' })
  expect((await agent.call('inbox.list', {})).inboxes.map(({ name }) => name)).toContain('Sales 2')
  await admin.call('inboxMember.remove', { inboxId: inbox.id, userId: agent.userId })
  expect(codeOf(await agent.try('inbox.get', { inboxId: inbox.id }))).toBe('not_found')
  expect(codeOf(await admin.try('inboxMember.remove', { inboxId: inbox.id, userId: agent.userId }))).toBe(
    'not_found',
  )
})

test('[A8] API keys: shown once, below their maker’s rank, and ended with who they were', async () => {
  expect(codeOf(await admin.try('apiKey.create', { name: 'Too much', role: 'admin' }))).toBe('forbidden')
  const { apiKey, token } = await admin.call('apiKey.create', { name: 'Robot', role: 'supervisor' })
  expect(apiKey).toMatchObject({ name: 'Robot', role: 'supervisor', lastUsedAt: null })
  const robot = new Person(server.url, '', 'Robot', token)
  const me = await robot.call('me.get', {})
  expect(me.user).toMatchObject({ name: 'Robot', role: 'supervisor' })
  const { apiKeys } = await admin.call('apiKey.list', {})
  expect(apiKeys.find(({ id }) => id === apiKey.id)?.lastUsedAt).not.toBeNull()
  const stored = await server.running.parley.chat.db.selectFrom('api_key').selectAll().execute()
  expect(JSON.stringify([stored, apiKeys, await owner.call('audit.list', {})])).not.toContain(token)
  await admin.call('apiKey.revoke', { apiKeyId: apiKey.id })
  expect(codeOf(await robot.try('me.get', {}))).toBe('unauthenticated')
  expect(codeOf(await admin.try('apiKey.revoke', { apiKeyId: apiKey.id }))).toBe('not_found')
  const ofOwner = await owner.call('apiKey.create', { name: 'High', role: 'admin' })
  expect(codeOf(await admin.try('apiKey.revoke', { apiKeyId: ofOwner.apiKey.id }))).toBe('forbidden')
})

test('contacts: found by external id, listed in pages, searched by plain text', async () => {
  const made = await agent.call('contact.create', {
    name: 'Zed 100%',
    externalId: 'ext-1',
    metadata: { a: 1, b: 2 },
  })
  const again = await agent.call('contact.create', { name: 'Other', externalId: 'ext-1' })
  expect(again).toEqual(made)
  const changed = await agent.call('contact.update', {
    userId: made.id,
    email: 'zed_100@example.com',
    metadata: { a: null, c: 3 },
  })
  expect(changed).toMatchObject({ email: 'zed_100@example.com', metadata: { b: 2, c: 3 } })
  for (const name of ['Zed 1000', 'Zed A', 'Zed B', 'Zed C']) await agent.call('contact.create', { name })

  const seen: string[] = []
  let page: string | undefined
  do {
    const answer: { contacts: { name: string }[]; nextPage: string | null } = await agent.call(
      'contact.list',
      {
        q: 'zed',
        limit: 2,
        page,
      },
    )
    seen.push(...answer.contacts.map(({ name }) => name))
    page = answer.nextPage ?? undefined
  } while (page)
  expect(seen).toEqual(['Zed 100%', 'Zed 1000', 'Zed A', 'Zed B', 'Zed C'])

  const names = async (q: string) =>
    (await agent.call('contact.list', { q })).contacts.map(({ name }) => name)
  expect(await names('100%')).toEqual(['Zed 100%'])
  expect(await names('zed_1')).toEqual(['Zed 100%'])
  expect(await names('.*')).toEqual([])
  expect(await names('\\')).toEqual([])
  for (const bad of ['x', 'WzFd', 'WyJhIl0', btoa(JSON.stringify([crypto.randomUUID()]))]) {
    expect([bad, codeOf(await agent.try('contact.list', { page: bad }))]).toEqual([bad, 'invalid_cursor'])
  }
  expect(codeOf(await agent.try('contact.update', { userId: admin.userId, name: 'x' }))).toBe('not_found')
  const big = { x: 'x'.repeat(17_000) }
  expect(codeOf(await agent.try('contact.create', { name: 'Big', metadata: big }))).toBe('invalid_request')
})

test('[A14] the e-mail that a contact signs in with is changed by admins and owners only', async () => {
  const email = 'signs-in@example.com'
  const account = { name: 'Ria', email, password: 'correct horse' }
  const { body: session } = await server.rest('POST', '/api/v1/auth/register', { body: account })
  const userId: string = session.user.id
  const bystander = await agent.call('contact.create', { name: 'Not registered', email: 'note@example.com' })
  for (const who of [agent, supervisor]) {
    for (const other of ['mine@example.com', null]) {
      const answer = await who.try('contact.update', { userId, email: other })
      expect(answer.body.error).toMatchObject({ code: 'forbidden', field: 'email' })
      expect(answer.body.error.message).toContain('ask an admin or owner')
    }
    expect((await who.call('contact.update', { userId, name: who.name, email })).email).toBe(email)
    const noted = `${who.userId}@example.com`
    expect((await who.call('contact.update', { userId: bystander.id, email: noted })).email).toBe(noted)
  }
  expect((await admin.call('contact.update', { userId, email: 'new@example.com' })).email).toBe(
    'new@example.com',
  )
})

test('[A15] what the team does to a contact, a message or the people in a conversation is in the audit log', async () => {
  const ana = await server.person('contact', 'Ana')
  const { conversation } = await ana.call('conversation.create', { kind: 'support', inboxId: server.inboxId })
  const conversationId = conversation.id
  const { id: messageId, seq } = await ana.send(conversationId, 'a secret of mine')
  const { id: own } = await agent.send(conversationId, 'a slip')
  const guest = await server.person('contact', 'Gus')

  const part = { conversationId, userId: guest.userId }
  for (let twice = 0; twice < 2; twice++) {
    await agent.call('contact.update', { userId: ana.userId, name: 'Anna', metadata: { tier: 1 } })
    await agent.call('message.retract', { messageId })
    await agent.call('message.retract', { messageId: own })
    await agent.call('participant.add', part)
  }
  await agent.call('participant.remove', part)

  const { entries } = await owner.call('audit.list', { limit: 4 })
  const by = { actorId: agent.userId, address: '127.0.0.1' }
  const role = { userId: guest.userId, role: 'contact' }
  expect(entries).toEqual(
    [
      { action: 'participant.remove', targetId: conversationId, before: role, after: null },
      { action: 'participant.add', targetId: conversationId, before: null, after: role },
      {
        action: 'message.retract',
        targetId: messageId,
        before: { conversationId, seq, senderId: ana.userId, retracted: false },
        after: { retracted: true },
      },
      {
        action: 'contact.update',
        targetId: ana.userId,
        before: { name: 'Ana', metadata: {} },
        after: { name: 'Anna', metadata: { tier: 1 } },
      },
    ].map((entry) => expect.objectContaining({ ...by, ...entry })),
  )
  expect(JSON.stringify(entries)).not.toContain('a secret of mine')
})

test('a contact knows whoever they talk with, by name only', async () => {
  const [ana, ben] = [await server.person('contact', 'Ana'), await server.person('contact', 'Ben')]
  expect((await ana.call('user.get', { userId: ana.userId })).name).toBe('Ana')
  expect(codeOf(await ana.try('user.get', { userId: agent.userId }))).toBe('not_found')
  const { conversation } = await ana.call('conversation.create', { kind: 'support', inboxId: server.inboxId })
  await agent.call('conversation.take', { conversationId: conversation.id })
  await agent.send(conversation.id, 'hello')
  await server.running.parley.chat.db
    .updateTable('person')
    .set({ email: 'abe@example.com', metadata: '{"private":true}', password_hash: await hashPassword('x') })
    .where('id', '=', agent.userId)
    .execute()
  const seen = await ana.call('user.get', { userId: agent.userId })
  expect(seen).toMatchObject({ id: agent.userId, email: null, metadata: {} })
  expect(JSON.stringify(seen)).not.toContain('argon2')
  expect(codeOf(await ben.try('user.get', { userId: agent.userId }))).toBe('not_found')
  expect((await agent.call('user.get', { userId: ana.userId })).name).toBe('Ana')
})

test('grants: in order, updated by reference, ended once; of one person for admins', async () => {
  const [ana, ben, cyd] = [
    await server.person('contact', 'Ana'),
    await server.person('contact', 'Ben'),
    await server.person('contact', 'Cyd'),
  ]
  const made = await admin.call('grant.create', {
    userIds: [ben.userId, ana.userId],
    externalRef: 'booking-1',
  })
  expect(made.userIds).toEqual([ana.userId, ben.userId].sort())
  const moved = await admin.call('grant.create', {
    userIds: [ana.userId, cyd.userId],
    externalRef: 'booking-1',
    scopes: ['read'],
    endsAt: '2999-01-01T00:00:00Z',
  })
  expect(moved).toMatchObject({ id: made.id, scopes: ['read'] })
  expect((await ben.call('grant.list', {})).grants).toEqual([])
  expect((await cyd.call('grant.list', {})).grants.map(({ id }) => id)).toEqual([made.id])
  expect((await admin.call('grant.list', { userId: ana.userId })).grants).toHaveLength(1)
  expect(codeOf(await ben.try('grant.list', { userId: ana.userId }))).toBe('forbidden')
  await admin.call('grant.end', { grantId: made.id })
  await admin.call('grant.end', { grantId: made.id })
  expect((await cyd.call('grant.list', {})).grants).toEqual([])
  const same = await Promise.all(
    Array.from({ length: 5 }, () =>
      admin.call('grant.create', { userIds: [ana.userId, ben.userId], externalRef: 'booking-2' }),
    ),
  )
  expect(new Set(same.map(({ id }) => id)).size).toBe(1)
  const pair: [string, string] = [ana.userId, ben.userId]
  const refused = [
    [{ userIds: [ana.userId, ana.userId] as [string, string] }, 'invalid_request'],
    [{ userIds: pair, startsAt: '2026-02-30T00:00:00Z' }, 'invalid_request'],
    [{ userIds: pair, startsAt: '0000-01-01T00:00:00Z' }, 'invalid_request'],
    [{ userIds: pair, startsAt: '2026-02-02T00:00:00Z', endsAt: '2026-02-01T00:00:00Z' }, 'invalid_request'],
    [{ userIds: [ana.userId, crypto.randomUUID()] as [string, string] }, 'not_found'],
  ] as const
  for (const [input, code] of refused) {
    expect([
      input,
      codeOf(await admin.try('grant.create', { ...input, userIds: [...input.userIds] })),
    ]).toEqual([input, code])
  }
})

test('[G20] an ended grant ends writing at once', async () => {
  const [ana, ben] = [await server.person('contact', 'Ana'), await server.person('contact', 'Ben')]
  const { id } = await admin.call('grant.create', { userIds: [ana.userId, ben.userId] })
  const { conversation } = await ana.call('conversation.create', {
    kind: 'direct',
    participantIds: [ben.userId],
  })
  await ana.send(conversation.id, 'hello')
  await admin.call('grant.end', { grantId: id })
  const input = {
    conversationId: conversation.id,
    clientMessageId: crypto.randomUUID(),
    body: 'still there?',
  }
  expect(codeOf(await ana.try('message.send', input))).toBe('grant_required')
})

test('the audit log is read in pages, newest first', async () => {
  const all = (await admin.call('audit.list', { limit: 200 })).entries.map(({ id }) => id)
  const first = await admin.call('audit.list', { limit: 3 })
  const second = await admin.call('audit.list', { limit: 3, page: first.nextPage ?? '' })
  expect([...first.entries, ...second.entries].map(({ id }) => id)).toEqual(all.slice(0, 6))
  expect(codeOf(await admin.try('audit.list', { page: 'x' }))).toBe('invalid_cursor')
  expect(codeOf(await supervisor.try('audit.list', {}))).toBe('forbidden')
})

test('the numbers count what was made in the span, and supervisors see their inboxes', async () => {
  await using fresh = await startServer()
  const boss = await fresh.person('owner', 'Boss')
  const sue = await fresh.person('supervisor', 'Sue')
  const abe = await fresh.person('agent', 'Abe')
  const hidden = await boss.call('inbox.create', { name: 'Hidden' })
  const open = async (inboxId: string) => {
    const contact = await fresh.person('contact', 'Cee')
    return (await contact.call('conversation.create', { kind: 'support', inboxId })).conversation.id
  }
  const [answered, closed] = [await open(fresh.inboxId), await open(fresh.inboxId)]
  await open(fresh.inboxId)
  await open(hidden.id)
  for (const conversationId of [answered, closed]) {
    await abe.call('conversation.take', { conversationId })
    await abe.send(conversationId, 'hello')
  }
  await abe.call('message.note', { conversationId: answered, clientMessageId: 'n', body: 'a note' })
  await abe.call('conversation.close', { conversationId: closed })
  const { db } = fresh.running.parley.chat
  for (const [id, seconds] of [
    [answered, 1],
    [closed, 3],
  ] as const) {
    const { created_at } = await db
      .selectFrom('conversation')
      .select('created_at')
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    const first_answer_at = new Date(Date.parse(created_at) + seconds * 1000).toISOString()
    await db.updateTable('conversation').set({ created_at, first_answer_at }).where('id', '=', id).execute()
  }
  const all = await boss.call('analytics.get', {})
  expect(all).toMatchObject({ open: 2, assigned: 1, closed: 1, firstAnswerMs: { median: 2000 } })
  expect(all.firstAnswerMs.p90).toBeCloseTo(2800)
  expect(all.byAgent).toEqual([{ userId: abe.userId, name: 'Abe', assigned: 1, closed: 1, messages: 2 }])
  expect(all.byInbox.map(({ name, open }) => [name, open])).toEqual([
    ['Hidden', 1],
    ['Support', 1],
  ])
  const some = await sue.call('analytics.get', {})
  expect(some).toMatchObject({ open: 1, assigned: 1, closed: 1 })
  expect(some.byInbox.map(({ inboxId }) => inboxId)).toEqual([fresh.inboxId])
  const none = await boss.call('analytics.get', { to: '2020-01-01T00:00:00Z' })
  expect(none).toEqual({
    open: 0,
    assigned: 0,
    closed: 0,
    firstAnswerMs: { median: null, p90: null },
    byAgent: [],
    byInbox: [],
  })
  expect(codeOf(await boss.try('analytics.get', { from: '2026-13-01T00:00:00Z' }))).toBe('invalid_request')
  expect(codeOf(await abe.try('analytics.get', {}))).toBe('forbidden')
})
