import type { ConversationSummary, LogEvent } from '@parley/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FakeServer } from './fake-server.ts'
import { applyToRows, noRows, putRow } from './list.ts'

const happening = fc.record({
  do: fc.constantFrom('send', 'send', 'edit', 'retract', 'react', 'update', 'join', 'leave'),
  by: fc.constantFrom('ana', 'sam'),
  nth: fc.nat(9),
})

type Told = { row: ConversationSummary } | { entry: LogEvent }

test('[R8] [F6] [F7] [F8] rows and entries in whatever order of the two, and however often, make the row of a fresh list', () => {
  fc.assert(
    fc.property(
      fc.array(happening, { minLength: 1, maxLength: 20 }),
      fc.array(fc.record({ asked: fc.nat(20), arrives: fc.nat(20) }), { minLength: 1, maxLength: 6 }),
      (history, looks) => {
        const server = new FakeServer()
        const id = server.open([
          { userId: 'ana', role: 'contact' },
          { userId: 'sam', role: 'agent' },
        ])
        const me = { userId: 'sam', contact: false }
        const rows: ConversationSummary[] = []
        for (const [at, { do: what, by, nth }] of history.entries()) {
          if (looks.some(({ asked }) => asked === at)) rows[at] = server.summary(id, me)
          if (what === 'send') server.send(id, by, `line ${at}`)
          else if (what === 'edit') server.edit(id, nth, `edit ${at}`)
          else if (what === 'retract') server.retract(id, nth)
          else if (what === 'react') server.react(id, nth, by, '+')
          else if (what === 'update') server.update(id, { subject: `${at}` })
          else if (what === 'join') server.join(id, 'kim', 'agent')
          else server.leave(id, 'kim')
        }
        const fresh = server.summary(id, me)
        const told: Told[] = (server.kept.get(id)?.log ?? []).map((entry) => ({ entry }))
        for (const { asked, arrives } of looks) {
          told.splice(arrives % (told.length + 1), 0, { row: rows[asked] ?? fresh })
        }
        const state = [...told, ...told].reduce(
          (rows, one) => ('row' in one ? putRow(rows, one.row, 'sam') : applyToRows(rows, one.entry, 'sam')),
          noRows,
        )
        const row = state.rows.get(id)
        expect(state.unknown.size).toBe(0)
        expect(row?.conversation).toEqual(fresh.conversation)
        expect(row?.lastMessage).toEqual(fresh.lastMessage)
        if (!state.stale.has(id)) expect(row).toEqual(fresh)
      },
    ),
    { numRuns: 300 },
  )
})
