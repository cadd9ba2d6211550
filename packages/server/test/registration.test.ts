import { decodeJwt } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Person, startServer, type TestServer } from '../src/testing.ts'

const secret = 'a registration secret for scripts'
let server: TestServer
let owner: Person
let admin: Person
let supervisor: Person

beforeAll(async () => {
  server = await startServer({ env: { REGISTRATION_SECRET: secret } })
  owner = await server.person('owner', 'Olga')
  admin = await server.person('admin', 'Ada')
  supervisor = await server.person('supervisor', 'Sam')
})
afterAll(() => server[Symbol.asyncDispose]())

let count = 0
const someone = () => ({ name: 'New', email: `new${++count}@example.com`, password: 'correct horse' })
const register = (body: object, headers = {}) =>
  server.rest('POST', '/api/v1/auth/register', { body, headers })
const people = async () =>
  (await server.running.parley.chat.db.selectFrom('person').select('id').execute()).length
const mode = (registration: 'customer_only' | 'invite' | 'pending' | 'closed') =>
  owner.call('workspace.update', { registration })

test('a contact registers and is signed in; privileged roles need a grant, and refusal stores nothing', async () => {
  const made = await register(someone())
  expect(made.status).toBe(201)
  expect(made.body.user).toMatchObject({ role: 'contact', verified: true })
  const before = await people()
  for (const role of ['agent', 'supervisor', 'admin', 'owner']) {
    const refused = await register({ ...someone(), role })
    expect(refused.status).toBe(403)
    expect(refused.body.error.code).toBe('registration_refused')
  }
  expect(await people()).toBe(before)
})

test('the registration secret is good up to admin, in header or body', async () => {
  const header = { 'x-registration-secret': secret }
  expect((await register({ ...someone(), role: 'admin' }, header)).body.user.role).toBe('admin')
  expect((await register({ ...someone(), role: 'agent', registrationSecret: secret })).status).toBe(201)
  expect((await register({ ...someone(), role: 'owner' }, header)).status).toBe(403)
  expect((await register({ ...someone(), role: 'agent' }, { 'x-registration-secret': 'wrong' })).status).toBe(
    403,
  )
  expect((await register(someone(), { 'x-registration-secret': 'wrong' })).status).toBe(403)
})

test('the modes: invite, pending, closed', async () => {
  const header = { 'x-registration-secret': secret }
  await mode('invite')
  expect((await register(someone())).status).toBe(403)
  const { token } = await admin.call('invitation.create', { role: 'contact' })
  expect((await register({ ...someone(), invitation: token })).status).toBe(201)
  await mode('pending')
  const waiting = await register({ ...someone(), role: 'admin' })
  expect(waiting.body.user.role).toBe('contact')
  const row = () =>
    server.running.parley.chat.db
      .selectFrom('person')
      .select(['role', 'wanted_role'])
      .where('id', '=', waiting.body.user.id)
      .executeTakeFirstOrThrow()
  expect(await row()).toEqual({ role: 'contact', wanted_role: 'admin' })
  await owner.call('user.update', { userId: waiting.body.user.id, role: 'agent' })
  expect(await row()).toEqual({ role: 'agent', wanted_role: null })
  await mode('closed')
  expect((await register(someone())).status).toBe(403)
  expect((await register({ ...someone(), role: 'agent' }, header)).status).toBe(403)
  await mode('customer_only')
})

test('an invitation is good once, for its role at most, for its e-mail, and brings its inboxes', async () => {
  const email = 'Invited@example.com'
  const { token, invitation } = await supervisor.call('invitation.create', {
    role: 'agent',
    email,
    inboxIds: [server.inboxId],
  })
  expect(invitation.acceptedAt).toBeNull()
  expect((await register({ ...someone(), invitation: token })).status).toBe(403)
  expect((await register({ ...someone(), email, invitation: token, role: 'admin' })).status).toBe(403)
  const joined = await register({ ...someone(), email: email.toLowerCase(), invitation: token })
  expect(joined.body.user.role).toBe('agent')
  const me = await server.rest('GET', '/api/v1/me', { token: joined.body.tokens.accessToken })
  expect(me.body.inboxIds).toEqual([server.inboxId])
  expect((await register({ ...someone(), email, invitation: token })).status).toBe(403)
})

test('of many who come with one invitation at once, one gets in', async () => {
  const { token } = await admin.call('invitation.create', { role: 'agent' })
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => register({ ...someone(), invitation: token })),
  )
  expect(answers.map((answer) => answer.status).sort()).toEqual([201, 403, 403, 403, 403, 403])
})

test('a failed registration leaves its invitation unused; expired and revoked ones are refused', async () => {
  const { db } = server.running.parley.chat
  const taken = someone()
  await register(taken)
  const { token, invitation } = await admin.call('invitation.create', { role: 'agent' })
  const duplicate = await register({ ...taken, invitation: token })
  expect([duplicate.status, duplicate.body.error.code]).toEqual([409, 'already_exists'])
  expect((await register({ ...someone(), invitation: token })).status).toBe(201)

  const late = await admin.call('invitation.create', { role: 'agent' })
  await db
    .updateTable('invitation')
    .set({ expires_at: '2020-01-01T00:00:00Z' })
    .where('id', '=', late.invitation.id)
    .execute()
  expect((await register({ ...someone(), invitation: late.token })).status).toBe(403)

  const back = await admin.call('invitation.create', { role: 'agent' })
  await admin.call('invitation.revoke', { invitationId: back.invitation.id })
  expect((await register({ ...someone(), invitation: back.token })).status).toBe(403)
  const open = (await owner.call('invitation.list', {})).invitations.map((one) => one.id)
  for (const { id } of [invitation, late.invitation, back.invitation]) expect(open).not.toContain(id)
  const stored = await db.selectFrom('invitation').selectAll().where('id', '=', back.invitation.id).execute()
  expect(JSON.stringify(stored)).not.toContain(back.token)
})

test('[A8] nobody invites to their own rank or above, and supervisors only into their own inboxes', async () => {
  const elsewhere = await owner.call('inbox.create', { name: 'Elsewhere' })
  const foreign = await server.workspace()
  const attempts = [
    [supervisor, { role: 'supervisor' }, 403],
    [supervisor, { role: 'admin' }, 403],
    [supervisor, { role: 'agent', inboxIds: [elsewhere.id] }, 404],
    [supervisor, { role: 'agent', inboxIds: [server.inboxId] }, 201],
    [admin, { role: 'admin' }, 403],
    [admin, { role: 'owner' }, 403],
    [admin, { role: 'agent', inboxIds: [foreign.inboxId] }, 404],
    [owner, { role: 'owner' }, 201],
  ] as const
  for (const [who, input, status] of attempts) {
    expect([
      input,
      (
        await who.try('invitation.create', {
          ...input,
          inboxIds: [...('inboxIds' in input ? input.inboxIds : [])],
        })
      ).status,
    ]).toEqual([input, status])
  }
})

test('a supervisor sees and revokes only own invitations, an admin none to their rank', async () => {
  const ofAdmin = await admin.call('invitation.create', { role: 'agent' })
  const ofOwner = await owner.call('invitation.create', { role: 'owner' })
  const seen = (await supervisor.call('invitation.list', {})).invitations.map(({ id }) => id)
  expect(seen).not.toContain(ofAdmin.invitation.id)
  expect((await supervisor.try('invitation.revoke', { invitationId: ofAdmin.invitation.id })).status).toBe(
    404,
  )
  expect((await admin.try('invitation.revoke', { invitationId: ofOwner.invitation.id })).status).toBe(403)
})

test('whoever is switched off takes their invitations along', async () => {
  const leaving = await server.person('admin', 'Leaving')
  const { token } = await leaving.call('invitation.create', { role: 'agent' })
  await owner.call('user.update', { userId: leaving.userId, active: false })
  expect((await register({ ...someone(), invitation: token })).status).toBe(403)
})

test('another workspace’s invitation opens nothing here', async () => {
  const made = await owner.call('workspace.create', { name: 'Second', slug: `second-${Date.now()}` })
  expect((await register({ ...someone(), invitation: made.ownerInvitation })).status).toBe(403)
  const first = await register({
    ...someone(),
    workspace: made.workspace.slug,
    invitation: made.ownerInvitation,
  })
  expect(first.body.user.role).toBe('owner')
  expect(first.body.workspace.id).toBe(made.workspace.id)
  const again = await owner.try('workspace.create', { name: 'Twice', slug: made.workspace.slug })
  expect([again.status, again.body.error.code]).toEqual([409, 'already_exists'])
  const outsider = await server.rest('POST', '/api/v1/workspaces', {
    token: first.body.tokens.accessToken,
    body: { name: 'Third', slug: 'third' },
  })
  expect(outsider.status).toBe(403)
  expect((await register({ ...someone(), workspace: 'nowhere' })).status).toBe(404)
})

test('in a demo any role is honoured, and its tokens are marked and good nowhere else', async () => {
  await using demo = await startServer({ args: ['--demo'] })
  const made = await demo.rest('POST', '/api/v1/auth/register', { body: { ...someone(), role: 'admin' } })
  expect(made.body.user.role).toBe('admin')
  expect(made.body.workspace.registration).toBe('open_demo')
  const { accessToken } = made.body.tokens
  expect(decodeJwt(accessToken).demo).toBe(true)
  const { chat } = demo.running.parley
  const { authenticate } = await import('../src/chat/sessions.ts')
  const serious = { ...chat, config: { ...chat.config, demo: false } }
  await expect(authenticate(serious, accessToken, { address: null, origin: null })).rejects.toMatchObject({
    code: 'unauthenticated',
  })
})
