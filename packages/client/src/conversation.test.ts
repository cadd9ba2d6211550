import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { apply, begin, emptyConversation, mergeReceipt, settle } from './conversation.ts'
import { FakeServer } from './fake-server.ts'

const cast = [
  { userId: 'ana', role: 'contact' },
  { userId: 'sam', role: 'agent' },
] as const

/** What may happen in a conversation, as data. */
const happening = fc.oneof(
  fc.record({ do: fc.constant('send' as const), by: fc.constantFrom('ana', 'sam'), note: fc.boolean() }),
  fc.record({ do: fc.constantFrom('edit' as const, 'retract' as const), nth: fc.nat(9) }),
  fc.record({ do: fc.constant('react' as const), nth: fc.nat(9), by: fc.constantFrom('ana', 'sam') }),
  fc.record({ do: fc.constant('update' as const), subject: fc.constantFrom('a', 'b') }),
  fc.record({ do: fc.constantFrom('join' as const, 'leave' as const), who: fc.constantFrom('kim', 'sam') }),
)

function happen(
  server: FakeServer,
  id: string,
  what: typeof happening extends fc.Arbitrary<infer T> ? T : never,
) {
  if (what.do === 'send') {
    server.send(id, what.by, 'x', { visibility: what.note && what.by === 'sam' ? 'agents' : 'everyone' })
  } else if (what.do === 'react') server.react(id, what.nth, what.by, '+')
  else if (what.do === 'update') server.update(id, { subject: what.subject })
  else if (what.do === 'join') server.join(id, what.who, 'agent')
  else if (what.do === 'leave') server.leave(id, what.who)
  else if (what.do === 'edit') server.edit(id, what.nth, 'edited')
  else if (what.do === 'retract') server.retract(id, what.nth)
}

describe('a conversation is the fold of its log', () => {
  test('[L8] [F1] [F2] folding any history, with any repeats, equals reading it afresh', () => {
    fc.assert(
      fc.property(
        fc.array(happening, { maxLength: 30 }),
        fc.array(fc.nat(29)),
        fc.nat(30),
        (history, again, from) => {
          const server = new FakeServer()
          const id = server.open([...cast])
          for (const [at, what] of history.entries()) if (at < from) happen(server, id, what)
          const kept = server.kept.get(id)
          if (!kept) throw new Error()
          const page = { messages: structuredClone(kept.messages), lastSeq: kept.log.length, hasMore: false }
          let state = begin(
            {
              ...emptyConversation(id),
              participants: kept.participants,
              conversation: { ...kept.conversation },
            },
            page,
          )
          for (const [at, what] of history.entries()) if (at >= from) happen(server, id, what)
          for (const event of kept.log) {
            state = apply(state, event)
            for (const back of again) {
              const repeated = kept.log[back]
              if (repeated && repeated.seq <= event.seq) state = apply(state, repeated)
            }
          }
          expect(state.messages).toEqual(kept.messages)
          expect(state.conversation).toEqual(kept.conversation)
          const byId = (people: readonly { userId: string }[]) =>
            people.toSorted((a, b) => (a.userId < b.userId ? -1 : 1))
          expect(byId(state.participants)).toEqual(byId(kept.participants))
        },
      ),
      { numRuns: 200 },
    )
  })

  test('[F3] an answer ahead of the log waits in its place, and its event finds it there', () => {
    const server = new FakeServer()
    const id = server.open([...cast])
    server.send(id, 'ana', 'first')
    const mine = server.send(id, 'sam', 'second', { clientMessageId: 'k' })
    const log = server.kept.get(id)?.log ?? []
    let state = settle(emptyConversation(id), mine)
    expect(state.messages.map((one) => one.body)).toEqual(['second'])
    for (const event of log) state = apply(state, event)
    expect(state.messages.map((one) => one.body)).toEqual(['first', 'second'])
  })

  test('[F4] receipts merge to the same whatever the order and however often', () => {
    const receipt = fc
      .record({ delivered: fc.nat(20), read: fc.nat(20), from: fc.nat(20), length: fc.nat(3) })
      .map(({ delivered, read, from, length }) => ({
        userId: 'ana',
        read,
        delivered: Math.max(delivered, read),
        deliveredAt: null,
        readAt: null,
        allReadAt: null,
        readBeyond: [[from, from + length]] as [number, number][],
      }))
    fc.assert(
      fc.property(fc.array(receipt, { minLength: 1 }), fc.nat(), (receipts, turn) => {
        const at = turn % receipts.length
        const other = [...receipts.slice(at), ...receipts.slice(0, at), ...receipts]
        const merge = (all: typeof receipts) =>
          all.reduce(mergeReceipt, { ...all[0], readBeyond: [] } as (typeof receipts)[0])
        expect(merge(other)).toEqual(merge(receipts))
      }),
    )
  })
})
