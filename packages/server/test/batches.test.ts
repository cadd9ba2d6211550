import type { Pool } from 'pg'
import { expect, test } from 'vitest'
import type { Draft } from '../src/chat/message-batch.ts'
import { SendQueue } from '../src/chat/send-queue.ts'
import { startServer, type TestServer } from '../src/testing.ts'

/** A queue of the store's own, whose drafts of one turn are one batch. */
const queueOf = ({ running }: TestServer) =>
  new SendQueue(
    running.parley.chat.store.pool,
    1,
    async () => {},
    () => {},
  )

const draft = (
  of: { workspaceId: string; conversationId: string; senderId: string },
  key: string,
  more: Partial<Draft> = {},
): Draft => ({
  ...of,
  id: crypto.randomUUID(),
  kind: 'text',
  body: key,
  visibility: 'everyone',
  replyToId: null,
  metadata: null,
  clientMessageId: key,
  sendKey: Buffer.from(key.padEnd(16)).toString('hex'),
  contentHash: Buffer.from((more.body ?? key).padEnd(16)).toString('hex'),
  attachmentIds: [],
  ...more,
})

async function cast(server: TestServer) {
  const ana = await server.person('contact', 'ana')
  const sam = await server.person('agent', 'sam')
  const workspaceId = (await ana.call('me.get', {})).workspace.id
  const open = async (clientKey: string) => {
    const { conversation } = await ana.call('conversation.create', { kind: 'support', clientKey })
    await sam.call('conversation.take', { conversationId: conversation.id })
    return conversation.id
  }
  const as = (person: { userId: string }, conversationId: string) => ({
    workspaceId,
    conversationId,
    senderId: person.userId,
  })
  return { ana, sam, open, as }
}

test('[I6] a batch numbers what it writes without holes, and counts messages and notes as the log has them', async () => {
  await using server = await startServer()
  const { ana, sam, open, as } = await cast(server)
  const [first, second] = [await open('one'), await open('two')]
  const queue = queueOf(server)
  const before = (await ana.call('conversation.get', { conversationId: first })).conversation.lastSeq
  const outcomes = await Promise.all([
    queue.append(draft(as(ana, second), 'a')),
    queue.append(draft(as(ana, first), 'b')),
    queue.append(draft(as(sam, first), 'c', { visibility: 'agents' })),
    queue.append(draft(as(sam, second), 'd')),
    queue.append(draft(as(sam, first), 'e', { kind: 'system' })),
    queue.append(draft(as(sam, first), 'f')),
  ])
  expect(outcomes.map((one) => one.verdict)).toEqual(Array(6).fill('written'))
  const seqs = outcomes.flatMap((one) => (one.verdict === 'written' ? [one.message.seq] : []))
  expect(seqs).toEqual([before + 1, before + 1, before + 2, before + 2, before + 3, before + 4])
  const { rows } = await server.running.parley.chat.store.pool.query(
    `select m.body, m.ordinal, m.note_ordinal, c.last_seq, c.message_count, c.note_count,
       c.first_answer_at = c.updated_at as answered, m.created_at = c.updated_at as "sameInstant"
     from message m join conversation c on c.id = m.conversation_id
     where m.conversation_id = $1 order by m.seq`,
    [first],
  )
  const counts = { last_seq: before + 4, message_count: 2, note_count: 1, answered: true, sameInstant: true }
  expect(rows).toEqual([
    { body: 'b', ordinal: 1, note_ordinal: 0, ...counts },
    { body: 'c', ordinal: 1, note_ordinal: 1, ...counts },
    { body: 'e', ordinal: 1, note_ordinal: 1, ...counts },
    { body: 'f', ordinal: 2, note_ordinal: 1, ...counts },
  ])
})

test('[I2] one who may not write, or repeats themselves, takes nobody else of the batch with them', async () => {
  await using server = await startServer()
  const { ana, sam, open, as } = await cast(server)
  const [first, second, closed] = [await open('one'), await open('two'), await open('three')]
  await sam.call('conversation.close', { conversationId: closed })
  const stranger = await server.person('contact', 'eve')
  const queue = queueOf(server)
  const [once] = await Promise.all([queue.append(draft(as(ana, first), 'once'))])
  const outcomes = await Promise.all([
    queue.append(draft(as(ana, first), 'before')),
    queue.append(draft(as(ana, first), 'once')),
    queue.append(draft(as(stranger, first), 'outside')),
    queue.append(draft(as(ana, first), 'after')),
    queue.append(draft(as(ana, closed), 'late')),
    queue.append(draft(as(ana, crypto.randomUUID()), 'nowhere')),
    queue.append(draft(as(ana, second), 'beside')),
  ])
  expect(outcomes.map((one) => one.verdict)).toEqual([
    'written',
    'repeat',
    'outsider',
    'written',
    'closed',
    'missing',
    'written',
  ])
  if (once?.verdict !== 'written') throw new Error('The first of two copies was not written')
  expect(outcomes[1]).toEqual({ verdict: 'repeat', id: once.message.id })
  const other = draft(as(ana, first), 'once', { body: 'something else' })
  expect(await queue.append(other)).toEqual({ verdict: 'conflict' })
  const { rows } = await server.running.parley.chat.store.pool.query(
    `select array_agg(m.body order by m.seq) as bodies, max(m.seq) - min(m.seq) + 1 as span, max(m.seq) = c.last_seq as last
     from message m join conversation c on c.id = m.conversation_id where c.id = $1 group by c.last_seq`,
    [first],
  )
  expect(rows).toEqual([{ bodies: ['once', 'before', 'after'], span: 3, last: true }])
})

/** A store that is asked by batches and answers each as told. */
const storeThat = (answer: (bodies: string[]) => { rows: object[] }) =>
  ({
    connect: async () => ({
      query: async ({ name, values }: { name?: string; text: string; values: string[][] }) =>
        answer(values[/append_all/.test(name ?? '') ? 10 : 5] ?? []),
      release: () => {},
    }),
  }) as unknown as Pool

test('[L3] what somebody writes after a file that waits for its batch waits, too', async () => {
  const batches: string[][] = []
  const store = storeThat((bodies) => {
    batches.push(bodies)
    return { rows: bodies.map(() => ({ outcome: 'closed' })) }
  })
  const queue = new SendQueue(
    store,
    1,
    async () => {},
    () => {},
  )
  const of = (conversationId: string) => ({ workspaceId: 'w', senderId: 'ana', conversationId })
  const file = { attachmentIds: [crypto.randomUUID()] }
  await Promise.all([
    queue.append(draft(of('one'), 'a file', file)),
    queue.append(draft(of('two'), 'another', file)),
    queue.append(draft(of('two'), 'and its caption')),
    queue.append(draft(of('three'), 'meanwhile')),
  ])
  expect(batches).toEqual([
    ['a file', 'meanwhile'],
    ['another', 'and its caption'],
  ])
})

test('[R13] where nobody knows whether a batch was written, lists are looked at again', async () => {
  const uncertain: string[][] = []
  const store = storeThat(() => {
    throw new Error('Connection terminated')
  })
  const queue = new SendQueue(
    store,
    1,
    async () => {},
    (ids) => uncertain.push(ids),
  )
  const sent = queue.append(draft({ workspaceId: 'w', senderId: 'ana', conversationId: 'one' }, 'x'))
  await expect(sent).rejects.toMatchObject({ code: 'outcome_unknown' })
  expect(uncertain).toEqual([['one']])
})
