import type { Receipt } from '@parley/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Person, startServer } from '../src/testing.ts'
import { openWire, transports } from './wires.ts'

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

test('[R5] a message that is not of the conversation, or may not be seen, refuses all of them', async () => {
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
  const note = await sam.call('message.note', { conversationId, clientMessageId: 'n', body: 'quiet' })
  const answer = await sam.send(conversationId, 'good morning')
  const { status } = await ana.try('receipt.markRead', { conversationId, messageIds: [answer.id, note.id] })
  expect(status).toBe(404)
  expect((await sam.call('receipt.list', { conversationId })).receipts).toEqual([])
  await ana.call('receipt.markRead', { conversationId, messageIds: [answer.id] })
  const { receipts } = await sam.call('receipt.list', { conversationId })
  expect(receipts).toMatchObject([{ userId: ana.userId, read: answer.seq }])
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

const move = fc.record({
  who: fc.nat(1),
  way: fc.nat(transports.length),
  delivered: fc.option(fc.nat(20), { nil: undefined }),
  read: fc.option(fc.nat(20), { nil: undefined }),
})

test('[R1] [R2] [R3] [G7] marks are one’s own and only grow, whatever comes when: read ≤ delivered ≤ the end of the log', async () => {
  await using server = await startServer()
  const [ana, sam] = [await server.person('contact', 'ana'), await server.person('agent', 'sam')]
  const people = [ana, sam]
  const mouths = await Promise.all(people.map(mouthsOf))
  let round = 0
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(move, { maxLength: 6 }), { maxLength: 5 }), async (batches) => {
      const [conversationId, elsewhere] = await Promise.all(
        ['here', 'there'].map(async (name) => {
          const clientKey = `${name} ${++round}`
          const { conversation } = await ana.call('conversation.create', { kind: 'support', clientKey })
          await sam.call('conversation.take', { conversationId: conversation.id })
          return conversation.id
        }),
      )
      if (!conversationId || !elsewhere) throw new Error('There are two conversations')
      const follow = [{ conversationId, after: 0 }]
      const hears = await sam.connect({ feed: false, follow })
      await hears.until(({ type }) => type === 'caughtup')
      const marks = people.map(({ userId }) => ({ userId, delivered: 0, read: 0 }))
      for (const batch of batches) {
        await ana.send(conversationId, 'one more')
        const { lastSeq } = await ana.call('message.list', { conversationId })
        // A batch is under way all at once, and comes in any order.
        const answers = await Promise.all(
          batch.map(async ({ who, way, ...to }) => ({
            who,
            receipt: await mouths[who]?.[way]?.(conversationId, to),
          })),
        )
        const before = marks.map((mark) => ({ ...mark }))
        for (const { who, delivered = 0, read = 0 } of batch) {
          const mark = marks[who]
          if (!mark) throw new Error('There are two people')
          mark.read = Math.max(mark.read, Math.min(read, lastSeq))
          mark.delivered = Math.max(mark.delivered, Math.min(delivered, lastSeq), mark.read)
        }
        for (const { who, receipt } of answers) {
          expect(receipt?.userId).toBe(people[who]?.userId)
          expect(receipt?.read).toBeLessThanOrEqual(receipt?.delivered ?? -1)
          for (const key of ['read', 'delivered'] as const) {
            expect(receipt?.[key]).toBeGreaterThanOrEqual(before[who]?.[key] ?? 0)
            expect(receipt?.[key]).toBeLessThanOrEqual(marks[who]?.[key] ?? 0)
          }
        }
      }
      const { receipts } = await ana.call('receipt.list', { conversationId })
      const plain = (all: { userId: string; delivered: number; read: number }[]) =>
        all
          .filter(({ delivered }) => delivered > 0)
          .map(({ userId, delivered, read }) => `${userId} ${delivered} ${read}`)
          .toSorted()
      expect(plain(receipts)).toEqual(plain(marks))
      expect((await ana.call('receipt.list', { conversationId: elsewhere })).receipts).toEqual([])

      // What was told of it merges to the same, backwards and twice.
      const told = () =>
        hears.heard.flatMap((frame) => (frame.type === 'receipt.moved' ? [frame.receipt] : [])).toReversed()
      const merged = (userId: string) => {
        const of = told().filter((receipt) => receipt.userId === userId)
        const most = (key: 'delivered' | 'read') => Math.max(0, ...[...of, ...of].map((one) => one[key]))
        return { userId, delivered: most('delivered'), read: most('read') }
      }
      const seen = () => plain(people.map(({ userId }) => merged(userId)))
      await expect.poll(seen, { timeout: 10_000 }).toEqual(plain(marks))
      hears.close()
    }),
    { numRuns: 15, ...(process.env.SEED && { seed: Number(process.env.SEED) }) },
  )
  for (const { userId } of people) {
    const body = { userId, read: 1 }
    const { conversation } = await ana.call('conversation.create', { kind: 'support', clientKey: 'last' })
    const path = `/api/v1/conversations/${conversation.id}/receipt`
    expect((await server.rest('PUT', path, { token: ana.token, body })).body.error.field).toBe('userId')
  }
})

/** Moves the marks of somebody over REST and over each transport. */
async function mouthsOf(person: Person) {
  type To = { delivered: number | undefined; read: number | undefined }
  const rest = (conversationId: string, to: To) =>
    person.call('receipt.move', { conversationId, ...to } as never)
  const wires = await Promise.all(
    transports.map(async (transport) => {
      const wire = await openWire(transport, { ...person, hello: { feed: false } })
      return async (conversationId: string, to: To) =>
        (await wire.command('receipt.move', { conversationId, ...to })).result as Receipt
    }),
  )
  return [rest, ...wires]
}

const deed = fc.record({
  do: fc.constantFrom('send', 'send', 'send', 'note', 'edit', 'retract', 'read', 'mark'),
  who: fc.nat(2),
  nth: fc.nat(9),
})

test('[R6] what is unread is what the log and one’s own marks say, wherever it is asked', async () => {
  await using server = await startServer()
  const olga = await server.person('owner', 'olga')
  const [ana, sam] = [await server.person('contact', 'ana'), await server.person('agent', 'sam')]
  const people = [ana, sam, olga]
  let round = 0
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { maxLength: 20 }), async (deeds) => {
      const clientKey = `round ${++round}`
      const { conversation } = await ana.call('conversation.create', { kind: 'support', clientKey })
      const conversationId = conversation.id
      await sam.call('conversation.take', { conversationId })
      const before = await Promise.all(people.map((person) => person.call('unread.get', {})))
      for (const [count, { do: what, who, nth }] of deeds.entries()) {
        const by = people[who] ?? ana
        const { messages } = await by.call('message.list', { conversationId })
        const { id: messageId, seq } = messages[nth % messages.length] ?? { id: conversationId, seq: 0 }
        const text = { conversationId, clientMessageId: `${count}`, body: `${count}` }
        // What is refused is a part of the story.
        if (what === 'send') await by.try('message.send', text)
        else if (what === 'note') await by.try('message.note', text)
        else if (what === 'edit') await by.try('message.edit', { messageId, body: 'edited' })
        else if (what === 'retract') await by.try('message.retract', { messageId })
        else if (what === 'read') await by.try('receipt.move', { conversationId, read: seq })
        else await by.try('receipt.markRead', { conversationId, messageIds: [messageId] })
      }
      for (const [place, person] of people.entries()) {
        const { messages } = await person.call('message.list', { conversationId })
        const row = await person.call('conversation.get', { conversationId })
        const { read, readBeyond } = row.receipt ?? { read: 0, readBeyond: [] }
        const waits = messages.filter(
          ({ senderId, seq, retractedAt, kind }) =>
            senderId !== person.userId &&
            seq > read &&
            !readBeyond.some(([from, to]) => from <= seq && seq <= to) &&
            retractedAt === null &&
            kind !== 'system',
        )
        const { conversations } = await person.call('conversation.list', { limit: 1 })
        const isIn = row.participants.some(({ userId }) => userId === person.userId)
        const all = await person.call('unread.get', {})
        const grown = all.messages - (before[place]?.messages ?? 0)
        expect([person.name, row.unread, conversations[0]?.unread, isIn ? grown : waits.length]).toEqual([
          person.name,
          ...[waits.length, waits.length, waits.length],
        ])
      }
      for (const person of people) {
        const { unread } = await person.call('conversation.get', { conversationId })
        expect(await person.call('receipt.markAllRead', { conversationId })).toMatchObject({ count: unread })
        expect(await person.call('conversation.get', { conversationId })).toMatchObject({ unread: 0 })
      }
    }),
    { numRuns: 30, ...(process.env.SEED && { seed: Number(process.env.SEED) }) },
  )
})

const rangeOf = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
