import { expect, test } from 'vitest'
import { check, type Invariant } from './history.ts'
import { type FinalEntry, type Line, Recorder, type Unstamped } from './history-lines.ts'

/**
 * A small history in which all is well: ana sends two messages and sam a note between them, a reader hears what a
 * contact may, comes back, and everybody reads the end. Each test below breaks it in one place.
 */
function story(): Unstamped[] {
  const message = (seq: number, sender: string) => ({
    id: `m${seq}`,
    hash: `h${seq}`,
    sender,
    key: `k${seq}`,
  })
  const send = (seq: number, sender: string, visibility: 'everyone' | 'agents' = 'everyone') => {
    const { id, hash, key } = message(seq, sender)
    const of = { f: 'send', ...here, process: sender, sender, key, hash, visibility } as const
    return [{ ...of, type: 'invoke' } as const, { ...of, type: 'ok', id, seq } as const]
  }
  const deliver = (seq: number, hash: string | null = `h${seq}`, id: string | null = `m${seq}`) =>
    ({ f: 'deliver', type: 'ok', ...here, process: 'screen', seq, id, hash, sees: 'everyone' }) as const
  const log: FinalEntry[] = [
    { seq: 1, visibility: 'everyone', message: null },
    { seq: 2, visibility: 'everyone', message: message(2, 'ana') },
    { seq: 3, visibility: 'agents', message: message(3, 'sam') },
    { seq: 4, visibility: 'everyone', message: message(4, 'ana') },
  ]
  const receipts = [{ participant: 'sam', delivered: 4, read: 2 }]
  const final = { f: 'final', type: 'ok', ...here, lastSeq: 4, receipts } as const
  return [
    { f: 'resume', type: 'ok', ...here, process: 'screen', after: 0, sees: 'everyone' },
    deliver(1, null, null),
    ...send(2, 'ana'),
    deliver(2),
    ...send(3, 'sam', 'agents'),
    { f: 'receipt', type: 'ok', ...here, process: 'sam', participant: 'sam', delivered: 2, read: 2 },
    { f: 'fault', type: 'ok', ...here, process: 'tester', what: 'kill -9', evidence: 'pid 7 became 8' },
    { f: 'resume', type: 'ok', ...here, process: 'screen', after: 2, sees: 'everyone' },
    ...send(4, 'ana'),
    deliver(4),
    { f: 'receipt', type: 'ok', ...here, process: 'sam', participant: 'sam', delivered: 4, read: 2 },
    { f: 'read', type: 'invoke', ...here, process: 'eve' },
    { f: 'read', type: 'ok', ...here, process: 'eve', lastSeq: 4 },
    { ...final, process: 'witness', of: 'log', sees: 'agents', entries: log },
    {
      ...final,
      process: 'ana reads',
      of: 'messages',
      sees: 'everyone',
      entries: log.filter((entry) => entry.message && entry.visibility === 'everyone'),
    },
  ]
}

const here = { conversation: 'c', transport: 'rest' } as const

function judge(lines: Unstamped[]) {
  const recorder = new Recorder()
  for (const line of lines) recorder.write(line)
  return check(recorder.lines, 7)
}

test('a history in which all is well is valid, and says what it counted', () => {
  expect(judge(story())).toMatchObject({
    valid: true,
    seed: 7,
    counts: { acknowledged: 3, messages: 3, 'deliver ok': 3, 'fault ok': 1, conversations: 1 },
    firstViolations: [],
  })
})

/** Takes lines out, or puts others in their place. */
type Break = (line: Unstamped, place: number) => Unstamped[]
const broken = (how: Break) => story().flatMap(how)
const inFinals = (change: (entries: FinalEntry[]) => FinalEntry[], of?: 'log' | 'messages') =>
  broken((line) =>
    line.f === 'final' && (!of || line.of === of) ? [{ ...line, entries: change(line.entries) }] : [line],
  )
const isSend = (line: Unstamped, type: string, seq: number) =>
  line.f === 'send' && line.type === type && line.key === `k${seq}`

const breaks: [Invariant, string, () => Unstamped[]][] = [
  [
    'H1',
    'an acknowledged message is missing from one read',
    () => inFinals((all) => all.slice(0, -1), 'messages'),
  ],
  [
    'H1',
    'an acknowledged message is missing everywhere',
    () => inFinals((all) => all.filter((e) => e.seq !== 4)),
  ],
  [
    'H1',
    'an acknowledged text was altered',
    () =>
      inFinals((all) =>
        all.map((e) => (e.seq === 4 && e.message ? { ...e, message: { ...e.message, hash: 'x' } } : e)),
      ),
  ],
  [
    'H2',
    'one key stands twice',
    () =>
      broken((line) =>
        line.f === 'final' && line.of === 'log'
          ? [
              {
                ...line,
                lastSeq: 5,
                entries: [...line.entries, { ...(line.entries[3] as FinalEntry), seq: 5 }],
              },
            ]
          : [line],
      ),
  ],
  [
    'H3',
    'a retry was given another number',
    () =>
      broken((line) => (isSend(line, 'ok', 4) ? [line, { ...line, seq: 5, id: 'm5' } as Unstamped] : [line])),
  ],
  [
    'H4',
    'two readers saw different messages at one number',
    () => broken((line) => (line.f === 'deliver' && line.seq === 2 ? [{ ...line, id: 'other' }] : [line])),
  ],
  [
    'H5',
    'a message was not told',
    () => broken((line) => (line.f === 'deliver' && line.seq === 2 ? [] : [line])),
  ],
  [
    'H5',
    'a message was told twice',
    () => broken((line) => (line.f === 'deliver' && line.seq === 2 ? [line, line] : [line])),
  ],
  ['H5', 'a page came in the wrong order', () => inFinals((all) => all.toReversed(), 'messages')],
  ['H6', 'the log has a hole', () => inFinals((all) => all.filter((e) => e.seq !== 1))],
  [
    'H6',
    'the log goes on after its end',
    () =>
      broken((line) => (line.f === 'final' && line.of === 'messages' ? [{ ...line, lastSeq: 3 }] : [line])),
  ],
  [
    'H7',
    'a note was told to a contact',
    () =>
      broken((line) =>
        line.f === 'deliver' && line.seq === 2 ? [line, { ...line, seq: 3, id: 'm3', hash: 'h3' }] : [line],
      ),
  ],
  [
    'H7',
    'a note stands in a read of a contact',
    () =>
      broken((line) =>
        line.f === 'final' && line.of === 'log'
          ? [line, { ...line, process: 'bad', sees: 'everyone' }]
          : [line],
      ),
  ],
  [
    'H8',
    'a mark went back',
    () =>
      broken((line) =>
        line.f === 'receipt' && line.delivered === 4 ? [{ ...line, delivered: 1, read: 1 }] : [line],
      ),
  ],
  [
    'H8',
    'a mark was lost at the end',
    () =>
      broken((line) =>
        line.f === 'final'
          ? [{ ...line, receipts: [{ participant: 'sam', delivered: 2, read: 2 }] }]
          : [line],
      ),
  ],
  [
    'H8',
    'more was read than delivered',
    () => broken((line) => (line.f === 'receipt' ? [{ ...line, read: 5 }] : [line])),
  ],
  [
    'H9',
    'a message stands before one that was acknowledged before it was sent',
    () => {
      const [first, late] = [
        story().filter((line) => line.f !== 'send'),
        story().filter((line) => line.f === 'send'),
      ]
      return [
        ...late.filter((line) => line.key === 'k4'),
        ...late.filter((line) => line.key !== 'k4'),
        ...first,
      ]
    },
  ],
  [
    'H10',
    'nobody sent what is stored',
    () => broken((line) => (line.f === 'send' && line.key === 'k2' ? [] : [line])),
  ],
  [
    'H10',
    'what was refused is stored',
    () =>
      broken((line) =>
        isSend(line, 'ok', 2) ? [{ ...line, type: 'fail', code: 'forbidden' } as Unstamped] : [line],
      ),
  ],
  [
    'H10',
    'a message was told that was never stored',
    () =>
      broken((line) =>
        line.f === 'deliver' && line.seq === 4 ? [line, { ...line, seq: 5, id: 'm5', hash: 'h5' }] : [line],
      ),
  ],
  [
    'H11',
    'a read after an acknowledgement does not contain it',
    () => broken((line) => (line.f === 'read' && line.type === 'ok' ? [{ ...line, lastSeq: 3 }] : [line])),
  ],
]

test.each(breaks)('%s fails when %s', (invariant, _, lines) => {
  const { valid, firstViolations } = judge(lines())
  expect(valid).toBe(false)
  expect(firstViolations.map((violation) => violation.invariant)).toContain(invariant)
})

test('H7 fails when a message is told more than two seconds after the right to hear it ended', () => {
  const recorder = new Recorder()
  for (const line of story()) {
    if (line.f === 'deliver' && line.seq === 4) {
      recorder.write({ f: 'access', type: 'ok', ...here, process: 'screen', may: false })
    }
    recorder.write(line)
  }
  const late = (byMs: number): Line[] =>
    recorder.lines.map((line) =>
      line.f === 'deliver' && line.seq === 4 ? { ...line, t: line.t + byMs } : line,
    )
  expect(check(late(1_500), 7).valid).toBe(true)
  expect(check(late(2_500), 7).firstViolations[0]?.invariant).toBe('H7')
})

test('a reader that was reset may begin anew anywhere, but goes on from there without a gap', () => {
  const reset = broken((line) =>
    line.f === 'resume' && line.after === 2 ? [{ ...line, type: 'reset' }] : [line],
  )
  expect(judge(reset).valid).toBe(true)
})

test.each<[string, Break]>([
  ['nothing was acknowledged', (line) => (line.f === 'send' || line.f === 'read' ? [] : [])],
  ['the log was not read at the end', (line) => (line.f === 'final' && line.of === 'log' ? [] : [line])],
  ['a fault left no evidence', (line) => (line.f === 'fault' ? [{ ...line, evidence: null }] : [line])],
])('a history proves nothing when %s', (_, how) => {
  expect(judge(broken(how)).valid).toBe('unknown')
})

test('a retry after an unknown outcome is the same message, and a million lines take seconds', () => {
  const recorder = new Recorder()
  const entries: FinalEntry[] = []
  for (let seq = 1; seq <= 250_000; seq++) {
    const of = {
      f: 'send',
      ...here,
      process: 'ana',
      sender: 'ana',
      key: `k${seq}`,
      hash: 'h',
      visibility: 'everyone',
    } as const
    recorder.write({ ...of, type: 'invoke' })
    recorder.write({ ...of, type: seq % 100 ? 'invoke' : 'info' })
    recorder.write({ ...of, type: 'ok', id: `m${seq}`, seq })
    recorder.write({
      f: 'deliver',
      type: 'ok',
      ...here,
      process: 'screen',
      seq,
      id: `m${seq}`,
      hash: 'h',
      sees: 'everyone',
    })
    entries.push({
      seq,
      visibility: 'everyone',
      message: { id: `m${seq}`, hash: 'h', sender: 'ana', key: `k${seq}` },
    })
  }
  const final = {
    f: 'final',
    type: 'ok',
    ...here,
    process: 'w',
    lastSeq: entries.length,
    entries,
    receipts: [] as [],
  } as const
  recorder.write({ ...final, of: 'log', sees: 'agents' })
  expect(check(recorder.lines, 7)).toMatchObject({ valid: true, counts: { messages: 250_000 } })
})
