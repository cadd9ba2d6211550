import { expect, test } from 'vitest'
import { type Person, startServer, type TestServer } from '../src/testing.ts'

/** Somebody of the team with conversations that they have taken in the inbox. */
async function busyAgent(server: TestServer, count: number): Promise<{ sam: Person; ids: string[] }> {
  const sam = await server.person('agent', 'sam')
  const ids: string[] = []
  for (let i = 0; i < count; i++) {
    const ana = await server.person('contact', `ana ${i}`)
    const { conversation } = await ana.call('conversation.create', {
      kind: 'support',
      inboxId: server.inboxId,
    })
    await sam.call('conversation.take', { conversationId: conversation.id })
    ids.push(conversation.id)
  }
  return { sam, ids }
}

async function unassigned(person: Person): Promise<string[]> {
  const { conversations } = await person.call('conversation.list', { view: 'unassigned' })
  return conversations.map(({ conversation }) => conversation.id).toSorted()
}

const ways: [string, (owner: Person, sam: Person, inboxId: string) => Promise<unknown>][] = [
  ['is switched off', (owner, { userId }) => owner.call('user.update', { userId, active: false })],
  ['is of the team no longer', (owner, { userId }) => owner.call('user.update', { userId, role: 'contact' })],
  ['leaves the inbox', (owner, { userId }, inboxId) => owner.call('inboxMember.remove', { inboxId, userId })],
]

for (const [what, how] of ways) {
  test(`[A16] whoever ${what} hands back what they were assigned, each with an entry in its log`, async () => {
    await using server = await startServer()
    const owner = await server.person('owner', 'olga')
    const { sam, ids } = await busyAgent(server, 3)
    const [closed = '', ...active] = ids
    await sam.call('conversation.close', { conversationId: closed })
    const desk = await owner.connect()
    await how(owner, sam, server.inboxId)

    expect(await unassigned(owner)).toEqual(active.toSorted())
    for (const conversationId of active) {
      const entry = await desk.until(
        (frame) => frame.type === 'conversation.updated' && frame.conversationId === conversationId,
      )
      expect(entry).toMatchObject({ changes: { assigneeId: null, status: 'open' }, actorId: owner.userId })
      const { conversation } = await owner.call('conversation.get', { conversationId })
      expect(conversation).toMatchObject({ assigneeId: null, status: 'open' })
    }
    const { conversation } = await owner.call('conversation.get', { conversationId: closed })
    expect(conversation).toMatchObject({ assigneeId: sam.userId, status: 'closed' })
  })
}

test('[A16] whoever is put out of a conversation hands it back', async () => {
  await using server = await startServer()
  const owner = await server.person('owner', 'olga')
  const { sam, ids } = await busyAgent(server, 2)
  const [first = '', second = ''] = ids
  await owner.call('participant.remove', { conversationId: first, userId: sam.userId })
  await sam.call('conversation.leave', { conversationId: second })
  expect(await unassigned(owner)).toEqual(ids.toSorted())
})

test('[A16] what is opened again does not wait for somebody who is gone', async () => {
  await using server = await startServer()
  const owner = await server.person('owner', 'olga')
  const { sam, ids } = await busyAgent(server, 1)
  const [conversationId = ''] = ids
  await sam.call('conversation.close', { conversationId })
  await owner.call('user.update', { userId: sam.userId, active: false })
  const { conversation } = await owner.call('conversation.reopen', { conversationId })
  expect(conversation).toMatchObject({ assigneeId: null, status: 'open' })
})

test('[A16] nobody is given a conversation while they are switched off', async () => {
  await using server = await startServer()
  const owner = await server.person('owner', 'olga')
  const { ids } = await busyAgent(server, 8)
  for (let round = 0; round < 3; round++) {
    const bob = await server.person('agent', `bob ${round}`)
    const outcomes = await Promise.all([
      ...ids.map((conversationId) =>
        owner.try('conversation.assign', { conversationId, userId: bob.userId }),
      ),
      owner.try('user.update', { userId: bob.userId, active: false }),
    ])
    for (const { status } of outcomes) expect([200, 404]).toContain(status)
    for (const conversationId of ids) {
      const { conversation } = await owner.call('conversation.get', { conversationId })
      expect(conversation.assigneeId).not.toBe(bob.userId)
    }
  }
})
