import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Person, startServer, type TestServer } from '../src/testing.ts'

let server: TestServer
let owner: Person

beforeAll(async () => {
  server = await startServer()
  owner = await server.person('owner', 'olga')
})
afterAll(() => server[Symbol.asyncDispose]())

/** Somebody of the team with conversations that they have taken in the inbox. */
async function busyAgent(count: number): Promise<{ sam: Person; ids: string[] }> {
  const sam = await server.person('agent', 'sam')
  const ana = await server.person('contact', 'ana')
  const ids: string[] = []
  for (let i = 0; i < count; i++) {
    const { conversation } = await ana.call('conversation.create', { kind: 'support', clientKey: `${i}` })
    await sam.call('conversation.take', { conversationId: conversation.id })
    ids.push(conversation.id)
  }
  return { sam, ids }
}

const stateOf = async (conversationId: string) => {
  const { conversation } = await owner.call('conversation.get', { conversationId })
  return { status: conversation.status, assigneeId: conversation.assigneeId }
}
const handedBack = { status: 'open', assigneeId: null }

const ways: [string, (sam: Person) => Promise<unknown>][] = [
  ['is switched off', ({ userId }) => owner.call('user.update', { userId, active: false })],
  ['is of the team no longer', ({ userId }) => owner.call('user.update', { userId, role: 'contact' })],
  ['leaves the inbox', ({ userId }) => owner.call('inboxMember.remove', { inboxId: server.inboxId, userId })],
]

for (const [what, how] of ways) {
  test(`[A16] whoever ${what} hands back what they were assigned, each with an entry in its log`, async () => {
    const { sam, ids } = await busyAgent(3)
    const [closed = '', ...active] = ids
    await sam.call('conversation.close', { conversationId: closed })
    const desk = await owner.connect()
    await how(sam)

    const { conversations } = await owner.call('conversation.list', { view: 'unassigned' })
    expect(conversations.map(({ conversation }) => conversation.id)).toEqual(expect.arrayContaining(active))
    for (const conversationId of active) {
      const entry = await desk.until(
        (frame) => frame.type === 'conversation.updated' && frame.conversationId === conversationId,
      )
      expect(entry).toMatchObject({ changes: handedBack, actorId: owner.userId })
      expect(await stateOf(conversationId)).toEqual(handedBack)
    }
    expect(await stateOf(closed)).toEqual({ status: 'closed', assigneeId: sam.userId })
    desk.close()
  })
}

test('[A16] whoever leaves a conversation or is put out of it hands it back', async () => {
  const { sam, ids } = await busyAgent(2)
  const [first = '', second = ''] = ids
  await owner.call('participant.remove', { conversationId: first, userId: sam.userId })
  await sam.call('conversation.leave', { conversationId: second })
  for (const id of ids) expect(await stateOf(id)).toEqual(handedBack)
})

test('[A16] what is opened again does not wait for somebody who is gone', async () => {
  const { sam, ids } = await busyAgent(1)
  const [conversationId = ''] = ids
  await sam.call('conversation.close', { conversationId })
  await owner.call('user.update', { userId: sam.userId, active: false })
  await owner.call('conversation.reopen', { conversationId })
  expect(await stateOf(conversationId)).toEqual(handedBack)
})

test('[A16] nobody is given a conversation while they are switched off', async () => {
  const { ids } = await busyAgent(8)
  for (let round = 0; round < 3; round++) {
    const bob = await server.person('agent', 'bob')
    const outcomes = await Promise.all([
      ...ids.map((conversationId) =>
        owner.try('conversation.assign', { conversationId, userId: bob.userId }),
      ),
      owner.try('user.update', { userId: bob.userId, active: false }),
    ])
    for (const { status } of outcomes) expect([200, 404]).toContain(status)
    for (const id of ids) expect((await stateOf(id)).assigneeId).not.toBe(bob.userId)
  }
})
