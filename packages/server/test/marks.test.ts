import fc from 'fast-check'
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

test('[R4] whatever is marked in whatever order, the mark stops before the first message that is not', async () => {
  await using server = await startServer()
  const ana = await server.person('contact', 'ana')
  const sam = await server.person('agent', 'sam')
  const count = 10
  let round = 0
  const isAnas = fc.array(fc.boolean(), { minLength: count, maxLength: count })
  const batches = fc.array(fc.uniqueArray(fc.nat(count - 1), { minLength: 1 }), {
    minLength: 1,
    maxLength: 5,
  })
  await fc.assert(
    fc.asyncProperty(isAnas, batches, async (areAnas, batches) => {
      const clientKey = `round ${++round}`
      const { conversation } = await ana.call('conversation.create', { kind: 'support', clientKey })
      const conversationId = conversation.id
      await sam.call('conversation.take', { conversationId })
      const messages: { id: string; seq: number; isAnas: boolean }[] = []
      for (const isAnas of areAnas) {
        messages.push({ ...(await (isAnas ? ana : sam).send(conversationId, 'hello')), isAnas })
      }

      let read = 0
      let alone: number[] = []
      for (const batch of batches) {
        const marked = messages.filter((_, place) => batch.includes(place))
        const messageIds = batch.flatMap((place) => messages[place]?.id ?? [])
        const receipt = await sam.call('receipt.markRead', { conversationId, messageIds })

        const known = new Set([...alone, ...marked.filter((one) => one.isAnas).map((one) => one.seq)])
        const firstUnread = messages.find(({ seq, isAnas }) => isAnas && seq > read && !known.has(seq))
        const reached = [...known].filter((seq) => !firstUnread || seq < firstUnread.seq)
        read = Math.max(read, ...reached)
        alone = [...known].filter((seq) => seq > read).toSorted((a, b) => a - b)
        expect(receipt.read).toBe(read)
        expect(receipt.readBeyond.flatMap(([from, to]) => rangeOf(from, to))).toEqual(alone)
      }
    }),
    { numRuns: 25 },
  )
})

const rangeOf = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
