import type { Message } from '@parley/protocol'
import { expect, test } from 'vitest'
import { makePlace, type Person, startServer, type TestServer } from '../src/testing.ts'
import { openWire, type Reply, transports } from './wires.ts'

type Send = { conversationId: string; clientMessageId: string; body: string }
/** What a sender was told, in the words of any transport. */
type Told = { message: Pick<Message, 'id' | 'seq' | 'body'> } | { error: string }

/** Many copies at once over each of the four ways in: `count` in all, over a few connections each. */
async function sendCopies(person: Person, count: number, input: (copy: number) => Send): Promise<Told[]> {
  const each = count / (1 + transports.length)
  const overRest = Array.from({ length: each }, async (_, i) => {
    const { status, body } = await person.try('message.send', input(i))
    return status === 201 ? { message: body } : { error: body.error.code }
  })
  const overWires = transports.map(async (transport, place) => {
    const wires = await Promise.all([1, 2].map(() => openWire(transport, person)))
    const told = await Promise.all(
      Array.from({ length: each }, (_, i) =>
        wires[i % wires.length]?.command('message.send', input((place + 1) * each + i)),
      ),
    )
    for (const wire of wires) wire.close()
    return told.map(toldBy)
  })
  return (await Promise.all([...overRest, ...overWires])).flat()
}

function toldBy(reply: Reply | undefined): Told {
  if (reply?.ok) return { message: reply.result as Message }
  return { error: (reply?.error as { code: string } | undefined)?.code ?? 'none' }
}

async function cast(server: TestServer) {
  const ana = await server.person('contact', 'ana')
  const { conversation } = await ana.call('conversation.create', { kind: 'support' })
  return { ana, id: conversation.id }
}

const rowsOf = (server: TestServer, conversationId: string) =>
  server.running.parley.chat.db
    .selectFrom('message')
    .select(['id', 'seq', 'body'])
    .where('conversation_id', '=', conversationId)
    .execute()

test('[I2] [G3] a thousand copies of one send, over every transport at once, are one row; so it stays after a restart', async () => {
  const place = await makePlace()
  try {
    const before = await startServer({ place })
    const { ana, id } = await cast(before)
    const send = { conversationId: id, clientMessageId: 'once', body: 'only once' }
    const told = await sendCopies(ana, 1_000, () => send)
    const rows = await rowsOf(before, id)
    expect(rows).toMatchObject([{ body: 'only once' }])
    const [row] = rows
    expect(told).toHaveLength(1_000)
    expect(
      told.filter((one) => !('message' in one) || one.message.id !== row?.id || one.message.seq !== row.seq),
    ).toEqual([])
    await before[Symbol.asyncDispose]()

    await using after = await startServer({ place })
    const again = await sendCopies(movedTo(after, ana), 40, () => send)
    expect(again).toEqual(Array(40).fill({ message: expect.objectContaining(row ?? {}) }))
    const other = await sendCopies(movedTo(after, ana), 4, () => ({ ...send, body: 'something else' }))
    expect(other).toEqual(Array(4).fill({ error: 'key_reused' }))
    expect(await rowsOf(after, id)).toEqual(rows)
  } finally {
    await place.remove()
  }
})

test('[I3] the same name with other content is refused over every transport, and changes nothing', async () => {
  await using server = await startServer()
  const { ana, id } = await cast(server)
  const send = { conversationId: id, clientMessageId: 'taken', body: 'the first' }
  const { seq } = await ana.call('message.send', send)
  const told = await sendCopies(ana, 40, () => ({ ...send, body: 'another' }))
  expect(told).toEqual(Array(40).fill({ error: 'key_reused' }))
  const refused = await ana.try('message.send', { ...send, body: 'another' })
  expect([refused.status, refused.body.error]).toMatchObject([409, { code: 'key_reused', retry: false }])
  expect(await rowsOf(server, id)).toMatchObject([{ seq, body: 'the first' }])
  const { lastSeq } = await ana.call('message.list', { conversationId: id })
  expect(lastSeq).toBe(seq)
})

test('[I3] two contents that race for one name: one wins everywhere, the other is refused everywhere', async () => {
  await using server = await startServer()
  const { ana, id } = await cast(server)
  const bodies = ['heads', 'tails']
  const told = await sendCopies(ana, 200, (copy) => ({
    conversationId: id,
    clientMessageId: 'coin',
    body: bodies[copy % 2] ?? '',
  }))
  const rows = await rowsOf(server, id)
  expect(rows).toHaveLength(1)
  expect(told.filter((one) => 'message' in one)).toEqual(
    Array(100).fill({ message: expect.objectContaining(rows[0] ?? {}) }),
  )
  expect(told.filter((one) => 'error' in one)).toEqual(Array(100).fill({ error: 'key_reused' }))
})

test('[I1] a name belongs to its sender and conversation: others may use the same', async () => {
  await using server = await startServer()
  const { ana, id } = await cast(server)
  const sam = await server.person('agent', 'sam')
  const { conversation } = await ana.call('conversation.create', { kind: 'support' })
  const sent = await Promise.all([
    ana.send(id, 'mine', 'hello'),
    sam.send(id, 'mine', 'hello'),
    ana.send(conversation.id, 'mine', 'hello'),
  ])
  expect(new Set(sent.map((message) => message.id)).size).toBe(3)
})

test('[I7] a clientKey names one conversation of its person, over every transport, at once and after it was closed', async () => {
  await using server = await startServer()
  const [ana, bea] = [await server.person('contact', 'ana'), await server.person('contact', 'bea')]
  const sam = await server.person('agent', 'sam')
  const open = async (person: Person) => {
    const create = { kind: 'support', clientKey: 'the one' } as const
    const wires = await Promise.all(transports.map((transport) => openWire(transport, person)))
    const overWires = wires.map(async (wire) => (await wire.command('conversation.create', create)).result)
    const overRest = [1, 2, 3].map(() => person.call('conversation.create', create))
    const told = (await Promise.all([...overRest, ...overWires])) as { conversation: { id: string } }[]
    for (const wire of wires) wire.close()
    return new Set(told.map(({ conversation }) => conversation.id))
  }
  const [ofAna, ofBea] = [await open(ana), await open(bea)]
  expect([ofAna.size, ofBea.size, new Set([...ofAna, ...ofBea]).size]).toEqual([1, 1, 2])
  const [conversationId = ''] = ofAna
  await sam.call('conversation.close', { conversationId })
  expect(await open(ana)).toEqual(ofAna)
  const { conversations } = await ana.call('conversation.list', {})
  expect(conversations).toMatchObject([{ conversation: { id: conversationId, status: 'closed' } }])
})

/** The same session on a server that was started again. */
function movedTo(server: TestServer, person: Person): Person {
  return Object.assign(Object.create(Object.getPrototypeOf(person)), person, { url: server.url })
}
