import type {
  Conversation,
  LogEvent,
  Message,
  OperationName,
  Participant,
  ServerFrame,
} from '@parley/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Person, startServer, type TestServer } from '../src/testing.ts'
import { isLogged, type Way } from './stage.ts'
import { openWire, transports, type Wire } from './wires.ts'

const ways: Way[] = ['rest', ...transports]

/** ana asks, sam answers; olga owns it all. */
async function cast(server: TestServer) {
  const olga = await server.person('owner', 'olga')
  const ana = await server.person('contact', 'ana')
  const sam = await server.person('agent', 'sam')
  const { conversation } = await ana.call('conversation.create', { kind: 'support' })
  await sam.call('conversation.take', { conversationId: conversation.id })
  return { olga, ana, sam, id: conversation.id }
}

/** Somebody who can call an operation in each way there is. */
async function speakers(person: Person) {
  const wires = await Promise.all(
    transports.map((way) => openWire(way, { ...person, hello: { feed: false } })),
  )
  const over = (wire: Wire) => async (name: OperationName, input: Record<string, unknown>) => {
    const { ok, result, error } = await wire.command(name, input)
    if (!ok) throw new Error(`${name} was refused: ${JSON.stringify(error)}`)
    return result
  }
  const rest = (name: OperationName, input: Record<string, unknown>): Promise<unknown> =>
    person.call(name, input as never)
  return { all: [rest, ...wires.map(over)], close: () => wires.forEach((wire) => void wire.close()) }
}

/** Somebody who follows over each transport, from the beginning or a position, and what each of them is told. */
async function ears(person: Person, id: string, hello: object = { feed: false }) {
  const listeners = await Promise.all(
    transports.map(async (transport) => {
      const heard: ServerFrame[] = []
      const follow = [{ conversationId: id, after: 0 }]
      const wire = await openWire(transport, {
        ...person,
        hello: { follow, ...hello },
        hear: (frame) => heard.push(frame),
      })
      return { transport, heard, wire, entries: () => heard.filter(isLogged) }
    }),
  )
  const until = async (fits: (frame: ServerFrame) => boolean) => {
    for (const { heard, transport } of listeners) {
      await expect.poll(() => heard.some(fits), { timeout: 10_000, message: transport }).toBe(true)
    }
  }
  return { listeners, until, close: () => listeners.forEach(({ wire }) => void wire.close()) }
}

test('[L5] [G6] whatever way it was written and whatever way it is read: a read after the answer contains it', async () => {
  await using server = await startServer()
  const { ana, sam, id: conversationId } = await cast(server)
  const [writers, readers] = [await speakers(sam), await speakers(ana)]
  for (const [place, write] of writers.all.entries()) {
    for (const [other, read] of readers.all.entries()) {
      const from = `${ways[place]} to ${ways[other]}`
      const clientMessageId = crypto.randomUUID()
      const sent = (await write('message.send', { conversationId, clientMessageId, body: from })) as Message
      const texts = async () => {
        const ask = async (name: OperationName, input = {}) =>
          (await read(name, { conversationId, ...input })) as never
        const page = ask('message.list', { limit: 1 }) as Promise<{ messages: Message[]; lastSeq: number }>
        const log = ask('log.list', { after: sent.seq - 1 }) as Promise<{ events: LogEvent[] }>
        const row = ask('conversation.get') as Promise<{ lastMessage: Message; unread: number }>
        const one = read('message.get', { messageId: sent.id }) as Promise<Message>
        const [first] = (await log).events
        return [
          (await page).messages[0]?.body,
          first?.type === 'message.created' && first.message.body,
          (await row).lastMessage.body,
          (await one).body,
        ]
      }
      expect(await texts(), from).toEqual(Array(4).fill(from))
      await write('message.edit', { messageId: sent.id, body: `${from}, edited` })
      expect(await texts(), from).toEqual(Array(4).fill(`${from}, edited`))
      await write('message.retract', { messageId: sent.id })
      expect(await texts(), from).toEqual(Array(4).fill(''))
    }
  }
  writers.close()
  readers.close()
})

test('[L6] a message is its own entry; what happens to it later is told by its id, and it keeps its place', async () => {
  await using server = await startServer()
  const { ana, sam, id: conversationId } = await cast(server)
  const hearing = await ears(ana, conversationId)
  const first = await ana.send(conversationId, 'one')
  const second = await sam.send(conversationId, 'two')
  const messageId = first.id
  await ana.call('message.edit', { messageId, body: 'uno' })
  await sam.call('message.react', { messageId, emoji: '👍' })
  await sam.call('message.unreact', { messageId, emoji: '👍' })
  const { seq: third } = await sam.send(conversationId, 'three')
  await ana.call('message.retract', { messageId })
  const { events, lastSeq } = await ana.call('log.list', { conversationId, after: first.seq - 1 })

  const later = { messageId, conversationId }
  const reacted = { ...later, type: 'message.reacted', userId: sam.userId, emoji: '👍' }
  expect(events).toMatchObject([
    { type: 'message.created', seq: first.seq, message: { id: messageId, seq: first.seq } },
    { type: 'message.created', seq: second.seq, message: { id: second.id, seq: second.seq } },
    { ...later, type: 'message.edited', seq: second.seq + 1 },
    { ...reacted, seq: second.seq + 2, removed: false },
    { ...reacted, seq: second.seq + 3, removed: true },
    { type: 'message.created', seq: third, message: { seq: third } },
    { ...later, type: 'message.retracted', seq: lastSeq },
  ])
  await hearing.until((frame) => isLogged(frame) && frame.seq === lastSeq)
  for (const { entries, transport } of hearing.listeners) {
    const heard = entries().filter(({ seq }) => seq >= first.seq)
    expect(
      heard.map(({ type, seq }) => [type, seq]),
      transport,
    ).toEqual(events.map(({ type, seq }) => [type, seq]))
  }
  const { messages } = await ana.call('message.list', { conversationId })
  expect(messages.map(({ id, seq }) => [id, seq]).slice(0, 2)).toEqual([
    [messageId, first.seq],
    [second.id, second.seq],
  ])
  hearing.close()
})

test('[L7] [A6] notes and all that happens to them are holes for a contact, by every way, and nothing else is', async () => {
  await using server = await startServer()
  const { ana, sam, id: conversationId } = await cast(server)
  const hearing = [
    await ears(ana, conversationId),
    await ears(ana, conversationId, { feed: true }),
    await ears(ana, conversationId, { feed: true, follow: [] }),
  ]
  const { lastSeq: before } = await ana.call('message.list', { conversationId })
  const note = await sam.call('message.note', { conversationId, clientMessageId: 'n', body: 'quiet' })
  const said = await sam.send(conversationId, 'aloud')
  await sam.call('message.edit', { messageId: note.id, body: 'quieter' })
  await sam.call('message.react', { messageId: note.id, emoji: '👍' })
  await ana.call('message.react', { messageId: said.id, emoji: '👍' })
  await sam.call('message.retract', { messageId: note.id })
  const last = await ana.send(conversationId, 'what is it?')
  const visible = [before + 2, before + 5, before + 7]
  expect([note.seq, said.seq, last.seq]).toEqual([before + 1, before + 2, before + 7])

  for (const { until, listeners } of hearing) {
    await until((frame) => isLogged(frame) && frame.seq === last.seq)
    for (const { entries, heard } of listeners) {
      expect(entries().flatMap(({ seq }) => (seq > before ? [seq] : []))).toEqual(visible)
      expect(JSON.stringify(heard)).not.toMatch(new RegExp(`quiet|${note.id}`))
    }
  }
  for (const ask of (await speakers(ana)).all) {
    const log = (await ask('log.list', { conversationId, after: before })) as {
      events: LogEvent[]
      upTo: number
    }
    expect(log.events.map(({ seq }) => seq)).toEqual(visible)
    expect(log.upTo).toBe(last.seq)
    const hole = await ask('log.list', { conversationId, after: before, limit: 1 })
    expect(hole).toEqual({ events: [], lastSeq: last.seq, upTo: note.seq })
  }
  const { events } = await sam.call('log.list', { conversationId, after: before })
  expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7].map((n) => before + n))
  for (const { close } of hearing) close()
})

type State = { conversation: Conversation; participants: Participant[]; messages: Message[] }

/** All that there is to know of a conversation, read afresh. */
async function fetched(person: Person, conversationId: string): Promise<State> {
  const [{ conversation }, { participants }, { messages }] = await Promise.all([
    person.call('conversation.get', { conversationId }),
    person.call('participant.list', { conversationId }),
    person.call('message.list', { conversationId, limit: 200 }),
  ])
  return { conversation, participants, messages }
}

/** An older state after one more entry, as somebody would write it who knows SPEC.md and the event reference only. */
function folded({ conversation, participants, messages }: State, event: LogEvent): State {
  if (event.seq <= conversation.lastSeq) return { conversation, participants, messages }
  const changes = event.type === 'conversation.updated' ? event.changes : {}
  const changed = (id: string, change: (message: Message) => Partial<Message>) =>
    messages.map((message) => (message.id === id ? { ...message, ...change(message) } : message))
  const state = {
    conversation: { ...conversation, ...changes, lastSeq: event.seq, updatedAt: event.at },
    participants,
    messages,
  }
  switch (event.type) {
    case 'participant.joined': {
      const others = participants.filter(({ userId }) => userId !== event.participant.userId)
      return { ...state, participants: [...others, event.participant] }
    }
    case 'participant.left': {
      const left = { leftAt: event.at }
      const gone = (one: Participant) => (one.userId === event.userId ? { ...one, ...left } : one)
      return { ...state, participants: participants.map(gone) }
    }
    case 'message.created':
      return { ...state, messages: [...messages, event.message] }
    case 'message.edited':
      return {
        ...state,
        messages: changed(event.messageId, () => ({ body: event.body, editedAt: event.at })),
      }
    case 'message.retracted': {
      const empty = { body: '', metadata: {}, attachments: [], reactions: [], retractedAt: event.at }
      return { ...state, messages: changed(event.messageId, () => empty) }
    }
    case 'message.reacted':
      return { ...state, messages: changed(event.messageId, (message) => reacted(message, event)) }
    default:
      return state
  }
}

function reacted(
  { reactions }: Message,
  { emoji, userId, removed }: Extract<LogEvent, { type: 'message.reacted' }>,
): Pick<Message, 'reactions'> {
  const users = new Set(reactions.find((one) => one.emoji === emoji)?.userIds)
  if (removed) users.delete(userId)
  else users.add(userId)
  const others = reactions.filter((one) => one.emoji !== emoji)
  return { reactions: users.size > 0 ? [...others, { emoji, userIds: [...users] }] : others }
}

/** The same whatever the order of people and reactions, which is not part of the state. */
const inOrder = ({ conversation, participants, messages }: State) => ({
  conversation,
  participants: participants.toSorted((a, b) => (a.userId < b.userId ? -1 : 1)),
  messages: messages.map((message) => ({
    ...message,
    reactions: message.reactions.map(({ emoji, userIds }) => `${emoji} ${userIds.toSorted()}`).toSorted(),
  })),
})

const deed = fc.record({
  do: fc.constantFrom(
    'send',
    'send',
    'note',
    'edit',
    'react',
    'unreact',
    'retract',
    'rename',
    'label',
    'state',
    'in',
  ),
  who: fc.nat(2),
  nth: fc.nat(5),
})
type Deed = typeof deed extends fc.Arbitrary<infer T> ? T : never

test('[L8] the log applied in order to any older state gives what a fresh read gives, repeats included', async () => {
  await using server = await startServer()
  const { olga, ana, sam } = await cast(server)
  const bea = await server.person('contact', 'bea')
  const people = [olga, ana, sam]
  let count = 0
  const doIt = async (id: string, { do: what, who, nth }: Deed) => {
    const by = people[who] ?? ana
    const { messages } = await olga.call('message.list', { conversationId: id })
    const messageId = messages[nth % messages.length]?.id ?? id
    const here = { conversationId: id }
    const emoji = ['👍', '🎉', '🙏'][nth % 3] ?? '👍'
    // What is refused changes nothing, which is a part of the story too.
    if (what === 'send')
      await by.try('message.send', { ...here, clientMessageId: `${++count}`, body: `${count}` })
    else if (what === 'note')
      await sam.try('message.note', { ...here, clientMessageId: `${++count}`, body: 'n' })
    else if (what === 'edit') await by.try('message.edit', { messageId, body: `${++count}` })
    else if (what === 'react') await by.try('message.react', { messageId, emoji })
    else if (what === 'unreact') await by.try('message.unreact', { messageId, emoji })
    else if (what === 'retract') await by.try('message.retract', { messageId })
    else if (what === 'rename') await by.try('conversation.update', { ...here, subject: `${nth}` })
    else if (what === 'label')
      await sam.try('conversation.update', { ...here, priority: nth, metadata: { [who]: nth } })
    else if (what === 'in')
      await olga.try(nth % 2 ? 'participant.add' : 'participant.remove', { ...here, userId: bea.userId })
    else {
      const states = ['close', 'reopen', 'take', 'leave', 'archive', 'reopen'] as const
      await sam.try(`conversation.${states[nth] ?? 'close'}`, here)
    }
  }
  await fc.assert(
    fc.asyncProperty(
      fc.array(deed, { maxLength: 12 }),
      fc.array(deed, { maxLength: 12 }),
      async (past, future) => {
        const { conversation } = await ana.call('conversation.create', {
          kind: 'support',
          clientKey: `${++count}`,
        })
        const { id } = conversation
        for (const one of past) await doIt(id, one)
        const readers = [ana, sam]
        const before = await Promise.all(readers.map((reader) => fetched(reader, id)))
        for (const one of future) await doIt(id, one)
        for (const [place, reader] of readers.entries()) {
          const then = before[place]
          if (!then) throw new Error('Everybody has read before')
          const log: LogEvent[] = []
          for (let after = 0, end = 1; after < end; ) {
            const page = await reader.call('log.list', { conversationId: id, after, limit: 7 })
            log.push(...page.events)
            ;[after, end] = [page.upTo, page.lastSeq]
          }
          const now = [...log, ...log].reduce(folded, then)
          const fresh = await fetched(reader, id)
          // A reader's position passes what it may not see.
          const { lastSeq, updatedAt } = fresh.conversation
          expect(inOrder({ ...now, conversation: { ...now.conversation, lastSeq, updatedAt } })).toEqual(
            inOrder(fresh),
          )
        }
      },
    ),
    { numRuns: 25, ...(process.env.SEED && { seed: Number(process.env.SEED) }) },
  )
})

test('[L9] an edit is told with the text as it is now, and nothing brings back a text that was retracted', async () => {
  await using server = await startServer()
  const { ana, sam, id: conversationId } = await cast(server)
  const { id: messageId, seq } = await ana.send(conversationId, 'the first text')
  await ana.call('message.edit', { messageId, body: 'the second text' })
  await ana.call('message.edit', { messageId, body: 'the third text' })
  const after = seq - 1
  const told = async (person: Person) => {
    const hearing = await ears(person, conversationId, { feed: false, follow: [{ conversationId, after }] })
    await hearing.until(({ type }) => type === 'caughtup')
    hearing.close()
    const { events } = await person.call('log.list', { conversationId, after })
    return [...hearing.listeners.map(({ entries }) => entries()), events].map((entries) =>
      entries.flatMap((event) =>
        event.type === 'message.created'
          ? [event.message.body]
          : event.type === 'message.edited'
            ? [event.body]
            : [],
      ),
    )
  }
  for (const person of [ana, sam]) {
    for (const texts of await told(person)) expect(texts).toEqual(Array(3).fill('the third text'))
  }

  await sam.call('message.retract', { messageId })
  expect((await ana.try('message.edit', { messageId, body: 'the fourth text' })).status).toBe(409)
  for (const person of [ana, sam]) {
    for (const texts of await told(person)) expect(texts).toEqual(['', '', ''])
    const answers = await Promise.all([
      person.call('message.get', { messageId }),
      person.call('message.list', { conversationId }),
      person.call('conversation.get', { conversationId }),
      person.call('conversation.list', {}),
      person.try('message.revisions', { messageId }),
    ])
    expect(JSON.stringify(answers)).not.toContain(' text')
  }
})

test('[L10] [R14] a deletion is the last that anybody is told of a conversation, and nothing can be written into it', async () => {
  await using server = await startServer()
  const { ana, sam, olga, id: conversationId } = await cast(server)
  const { id: messageId } = await ana.send(conversationId, 'a text')
  const hearings = [
    await ears(ana, conversationId),
    await ears(sam, conversationId, { feed: true }),
    await ears(olga, conversationId, { feed: true, follow: [] }),
  ]
  for (const { until } of hearings.slice(0, 2)) await until(({ type }) => type === 'caughtup')
  await sam.call('conversation.delete', { conversationId })
  const again = { conversationId, clientMessageId: 'c', body: 'still here?' }
  for (const person of [ana, sam, olga]) {
    const answers = await Promise.all([
      person.try('message.send', again),
      person.try('message.react', { messageId, emoji: '👍' }),
      person.try('message.retract', { messageId }),
      person.try('log.list', { conversationId, after: 0 }),
      person.try('message.get', { messageId }),
      person.try('receipt.move', { conversationId, read: 1 }),
    ])
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(404))
  }
  for (const { until, listeners, close } of hearings) {
    await until(({ type }) => type === 'conversation.lost')
    for (const { wire, heard, transport } of listeners) {
      // The reply stands behind whatever the server still had to say.
      await wire.command('unread.get', {})
      const about = heard.filter(
        (frame) => 'conversationId' in frame && frame.conversationId === conversationId,
      )
      expect(about.slice(-2), transport).toMatchObject([
        { type: 'conversation.deleted' },
        { type: 'conversation.lost', reason: 'deleted' },
      ])
    }
    close()
  }
})
