import { expect, test } from 'vitest'
import { startServer } from '../src/testing.ts'

test('single messages are marked in any order, and the mark passes them when all before are read', async () => {
  await using server = await startServer()
  const ana = await server.person('contact', 'ana')
  const sam = await server.person('agent', 'sam')
  const { conversation } = await ana.call('conversation.create', { kind: 'support' })
  const conversationId = conversation.id
  await sam.call('conversation.take', { conversationId })
  const first = await ana.send(conversationId, 'one')
  const own = await sam.send(conversationId, 'two')
  const third = await ana.send(conversationId, 'three')
  const fourth = await ana.send(conversationId, 'four')
  const mark = async (...messages: { id: string }[]) =>
    sam.call('receipt.markRead', { conversationId, messageIds: messages.map(({ id }) => id) })

  expect(await mark()).toMatchObject({ read: 0, readBeyond: [] })
  expect(await mark(fourth, own, fourth)).toMatchObject({
    read: 0,
    readBeyond: [[fourth.seq, fourth.seq]],
  })
  expect(await mark(first)).toMatchObject({ readBeyond: [[fourth.seq, fourth.seq]] })
  expect(await mark(third)).toMatchObject({ read: fourth.seq, readBeyond: [] })
})

test('a message that is not of the conversation refuses all of them', async () => {
  await using server = await startServer()
  const ana = await server.person('contact', 'ana')
  const sam = await server.person('agent', 'sam')
  const [here, elsewhere] = await Promise.all(
    ['a', 'b'].map(async (clientKey) => {
      const { conversation } = await ana.call('conversation.create', { kind: 'support', clientKey })
      await sam.call('conversation.take', { conversationId: conversation.id })
      return ana.send(conversation.id, 'hello')
    }),
  )
  if (!here || !elsewhere) throw new Error('Two messages were sent')
  const { conversationId } = here
  for (const stranger of [elsewhere.id, crypto.randomUUID()]) {
    const { status } = await sam.try('receipt.markRead', { conversationId, messageIds: [here.id, stranger] })
    expect(status).toBe(404)
  }
  expect((await sam.call('receipt.list', { conversationId })).receipts).toEqual([])
})
