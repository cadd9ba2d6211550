import { setTimeout as wait } from 'node:timers/promises'
import type { ServerFrame } from '@parley/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Announcement } from '../src/chat/chat.ts'
import type { Fanout } from '../src/realtime/fanout.ts'
import { type Person, startServer } from '../src/testing.ts'
import { isLogged } from './stage.ts'
import { openWire, type Transport, transports, type Wire } from './wires.ts'

type Step =
  | { do: 'send'; by: number; note: boolean; burst: number }
  | { do: 'weather'; drop: number; repeat: number }
  | { do: 'connect'; reader: number; transport: Transport; feed: boolean }
  | { do: 'vanish'; reader: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('send'),
      by: fc.nat(1),
      note: fc.boolean(),
      burst: fc.integer({ min: 1, max: 8 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('weather'),
      drop: fc.constantFrom(0, 0.3, 1),
      repeat: fc.constantFrom(0, 0.5),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('connect'),
      reader: fc.nat(2),
      transport: fc.constantFrom(...transports),
      feed: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('vanish'), reader: fc.nat(2) }) },
)

test('[R10] [R11] [L7] [G4] whatever is dropped, repeated or cut off: every visible entry reaches every screen once and in order', async () => {
  const fanout = lossyFanout()
  await using server = await startServer({ fanout })
  const [ana, sam] = [await server.person('contact', 'ana'), await server.person('agent', 'sam')]
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 4, maxLength: 25 }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })),
      async (steps, chances) => {
        fanout.weather = { drop: 0, repeat: 0, chance: () => chances.next().value ?? 0 }
        const { conversation } = await ana.call('conversation.create', { kind: 'support' })
        const { id } = conversation
        const screens = [new Screen(ana, id), new Screen(sam, id), new Screen(ana, id)]
        try {
          for (const one of steps) {
            if (one.do === 'weather') Object.assign(fanout.weather, one)
            else if (one.do === 'send') {
              const isNote = one.note && one.by === 1
              const who = one.by === 1 ? sam : ana
              const sends = Array.from({ length: one.burst }, (_, i) => ({
                conversationId: id,
                clientMessageId: crypto.randomUUID(),
                body: `${i}`,
              }))
              await Promise.all(sends.map((send) => who.call(isNote ? 'message.note' : 'message.send', send)))
            } else if (one.do === 'connect') await screens[one.reader]?.connect(one.transport, one.feed)
            else screens[one.reader]?.vanish()
          }
          for (const screen of screens) if (!screen.isOn) await screen.connect('websocket', false)
          // What was dropped is found by the sweep; it need not be waited for.
          await server.running.parley.sweep.look()
          const { events } = await sam.call('log.list', { conversationId: id, after: 0 })
          const seqs = events.map((event) => event.seq)
          expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, i) => i + 1))
          const isNote = new Set(
            events.flatMap((e) =>
              e.type === 'message.created' && e.message.visibility === 'agents' ? [e.seq] : [],
            ),
          )
          const forContacts = seqs.filter((seq) => !isNote.has(seq))
          for (const screen of screens) {
            const due = screen.who === sam ? seqs : forContacts
            await screen.until(due.at(-1) ?? 0)
            expect(screen.shown).toEqual(due)
          }
        } finally {
          for (const screen of screens) screen.vanish()
        }
      },
    ),
    { numRuns: 25, endOnFailure: true, ...(process.env.SEED && { seed: Number(process.env.SEED) }) },
  )
  expect(fanout.dropped).toBeGreaterThan(0)
}, 120_000)

test('[R13] a feed that has begun to tell a conversation leaves nothing of it out, whatever was dropped', async () => {
  const fanout = lossyFanout()
  await using server = await startServer({ fanout })
  const [ana, sam] = [await server.person('contact', 'ana'), await server.person('agent', 'sam')]
  const { conversation } = await ana.call('conversation.create', { kind: 'support' })
  const heard: number[] = []
  const hear = (frame: ServerFrame) => {
    if (isLogged(frame) && frame.conversationId === conversation.id) heard.push(frame.seq)
  }
  const wire = await openWire('websocket', { ...sam, hear })
  await ana.send(conversation.id, 'the first, which is announced')
  let turn = 0
  fanout.weather = { drop: 0.5, repeat: 0.5, chance: () => (turn++ % 7) / 7 }
  for (let i = 0; i < 40; i++) await ana.send(conversation.id, `line ${i}`)
  await server.running.parley.sweep.look()
  const { lastSeq } = await ana.call('message.list', { conversationId: conversation.id })
  const deadline = Date.now() + 5_000
  while (heard.at(-1) !== lastSeq && Date.now() < deadline) await wait(5)
  wire.close()
  expect(fanout.dropped).toBeGreaterThan(10)
  expect(heard).toEqual(Array.from({ length: 41 }, (_, i) => lastSeq - 40 + i))
})

/**
 * What a person sees over many connections. With the feed on, entries of both may come mixed between the request to
 * follow and `caughtup`; they are kept and shown then in order. With the feed off nothing needs to be put in order.
 */
class Screen {
  readonly who: Person
  readonly #id: string
  readonly shown: number[] = []
  #wire: Wire | undefined
  #life = 0

  constructor(who: Person, id: string) {
    this.who = who
    this.#id = id
  }

  get isOn(): boolean {
    return this.#wire !== undefined
  }

  async connect(transport: Transport, feed: boolean): Promise<void> {
    this.vanish()
    const life = this.#life
    const held = new Set<number>()
    let isLive = false
    const hear = (frame: ServerFrame) => {
      if (life !== this.#life) return
      if (frame.type === 'caughtup') {
        isLive = true
        this.shown.push(...[...held].filter((seq) => seq > (this.shown.at(-1) ?? 0)).sort((a, b) => a - b))
      } else if (frame.type === 'reset') throw new Error(`Reset: ${frame.reason}`)
      else if (isLogged(frame) && frame.conversationId === this.#id) {
        if (feed && !isLive) held.add(frame.seq)
        else this.shown.push(frame.seq)
      }
    }
    const follow = [{ conversationId: this.#id, after: this.shown.at(-1) ?? 0 }]
    this.#wire = await openWire(transport, { ...this.who, hello: { feed, follow }, hear })
  }

  vanish(): void {
    this.#life++
    this.#wire?.close()
    this.#wire = undefined
  }

  async until(seq: number): Promise<void> {
    const deadline = Date.now() + 5_000
    while ((this.shown.at(-1) ?? 0) < seq && Date.now() < deadline) await wait(5)
  }
}

type Weather = { drop: number; repeat: number; chance(): number }

/** A fan-out that drops and repeats what the weather says. */
function lossyFanout(): Fanout & { weather: Weather; dropped: number } {
  let hear: (announcement: Announcement) => void = () => {}
  return {
    weather: { drop: 0, repeat: 0, chance: () => 1 },
    dropped: 0,
    announce(announcement) {
      const { drop, repeat, chance } = this.weather
      if (chance() < drop) {
        this.dropped++
        return
      }
      hear(announcement)
      if (chance() < repeat) hear(announcement)
    },
    listen: (listener) => {
      hear = listener
    },
    close: async () => {},
  }
}
