import type { InputOf, OperationName } from '@parley/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Person, startServer, type TestServer } from '../src/testing.ts'

let server: TestServer
let ours: Person
let theirs: Person

beforeAll(async () => {
  server = await startServer()
  ours = await server.person('owner', 'Ours')
  const elsewhere = await server.workspace()
  theirs = await server.person('owner', 'Theirs', elsewhere.workspaceId)
})
afterAll(() => server[Symbol.asyncDispose]())

const nothing = '00000000-0000-7000-8000-000000000000'

/** Everything of one workspace that has an id, made by its owner. */
async function belongings(who: Person) {
  const inbox = await who.call('inbox.create', { name: 'Inbox' })
  const contact = await who.call('contact.create', { name: 'Contact', externalId: 'same-in-both' })
  const other = await who.call('contact.create', { name: 'Other' })
  const invitation = await who.call('invitation.create', { role: 'agent' })
  const key = await who.call('identityKey.create', {
    kind: 'hs256',
    secret: 'QmV0dGVyIHNlY3JldHMgYXJlIHJhbmRvbQ-1234567',
  })
  const apiKey = await who.call('apiKey.create', { name: 'Key', role: 'agent' })
  const grant = await who.call('grant.create', {
    userIds: [contact.id, other.id],
    externalRef: 'same-in-both',
  })
  await who.call('inboxMember.put', { inboxId: inbox.id, userId: who.userId })
  return { inbox, contact, other, invitation: invitation.invitation, key, apiKey: apiKey.apiKey, grant }
}

test('[G21] what is theirs and what is nowhere are the same to us, in every verb that takes an id', async () => {
  const [mine, foreign] = [await belongings(ours), await belongings(theirs)]
  expect(mine.contact.id).not.toBe(foreign.contact.id)
  expect(mine.grant.id).not.toBe(foreign.grant.id)

  type Attempt = { [N in OperationName]: [N, (id: string) => InputOf<N>, string] }[OperationName]
  const attempts: Attempt[] = [
    ['user.get', (userId) => ({ userId }), foreign.contact.id],
    ['user.update', (userId) => ({ userId, name: 'x' }), foreign.contact.id],
    ['contact.update', (userId) => ({ userId, name: 'x' }), foreign.contact.id],
    ['inbox.get', (inboxId) => ({ inboxId }), foreign.inbox.id],
    ['inbox.update', (inboxId) => ({ inboxId, name: 'x' }), foreign.inbox.id],
    ['inboxMember.list', (inboxId) => ({ inboxId }), foreign.inbox.id],
    ['inboxMember.put', (inboxId) => ({ inboxId, userId: ours.userId }), foreign.inbox.id],
    ['inboxMember.put', (userId) => ({ inboxId: mine.inbox.id, userId }), theirs.userId],
    ['inboxMember.remove', (inboxId) => ({ inboxId, userId: theirs.userId }), foreign.inbox.id],
    ['invitation.revoke', (invitationId) => ({ invitationId }), foreign.invitation.id],
    ['invitation.create', (id) => ({ role: 'agent' as const, inboxIds: [id] }), foreign.inbox.id],
    [
      'identityKey.create',
      (inboxId) => ({ kind: 'hs256' as const, secret: 'Zm9yIHRlc3RzIG9ubHk-random-0123456789', inboxId }),
      foreign.inbox.id,
    ],
    ['identityKey.retire', (identityKeyId) => ({ identityKeyId }), foreign.key.id],
    ['apiKey.revoke', (apiKeyId) => ({ apiKeyId }), foreign.apiKey.id],
    ['grant.create', (id) => ({ userIds: [mine.contact.id, id] as [string, string] }), foreign.contact.id],
    ['grant.end', (grantId) => ({ grantId }), foreign.grant.id],
  ]
  for (const [name, inputFor, id] of attempts) {
    const [there, nowhere] = [await ours.try(name, inputFor(id)), await ours.try(name, inputFor(nothing))]
    expect([name, there.status]).toEqual([name, 404])
    expect(there.body).toEqual(nowhere.body)
  }
  expect((await theirs.call('inbox.get', { inboxId: foreign.inbox.id })).name).toBe('Inbox')
  expect((await theirs.call('apiKey.list', {})).apiKeys).toHaveLength(1)

  const lists = JSON.stringify(
    await Promise.all([
      ours.call('user.list', {}),
      ours.call('contact.list', {}),
      ours.call('inbox.list', {}),
      ours.call('invitation.list', {}),
      ours.call('identityKey.list', {}),
      ours.call('apiKey.list', {}),
      ours.call('grant.list', { userId: foreign.contact.id }),
      ours.call('audit.list', {}),
      ours.call('analytics.get', {}),
    ]),
  )
  for (const { id } of Object.values(foreign)) expect(lists).not.toContain(id)
  expect(lists).not.toContain(theirs.userId)
})
