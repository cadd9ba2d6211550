import { setTimeout as wait } from 'node:timers/promises'
import type { Pool } from 'pg'
import { idIn, seedPairs, seedPeople } from './cast.ts'
import { Child } from './child.ts'
import {
  type Bench,
  inTurns,
  type Line,
  type Load,
  lineOf,
  type Reading,
  type Tenant,
  watchingLag,
} from './measure.ts'
import { Place } from './place.ts'
import type { ClientSocket, OnFrame } from './socket.ts'
import { each, enter, join, read, sendFrame, until } from './wire.ts'

/**
 * Durable acknowledged sends a second between pairs of people, against the bare relay and against the sketch. A closed loop
 * on both sides: in each conversation one person writes and sends the next message when the last one was acknowledged,
 * so as many sends are in flight as there are conversations. The other person's copies are counted and must all have
 * come by the end.
 */
export const sends: Tenant = {
  names: (scale) =>
    scale.conversations.flatMap((count) => [
      nameOf(count),
      ...(scale.sketched ? [sketchedNameOf(count)] : []),
    ]),
  seed: async (pool, { scale }) => {
    const most = Math.max(...scale.conversations)
    await seedPeople(pool, { first: 2, count: most * 2 })
    await seedPairs(pool, { first: 1, count: most, firstPerson: 2 })
  },
  run,
  verify,
}

const nameOf = (conversations: number) => `sends_${conversations}_conversations`
const sketchedNameOf = (conversations: number) => `${nameOf(conversations)}_sketched`
let most = 0
let acknowledged = 0

async function* run(
  { scale, wanted }: Bench,
  { relay, server }: { relay: Child; server: Child },
): AsyncGenerator<Line> {
  for (const conversations of scale.conversations) {
    if (wanted.includes(nameOf(conversations)))
      yield await compare(nameOf(conversations), conversations, relay, server, scale.load)
    if (!wanted.includes(sketchedNameOf(conversations))) continue
    await using place = await Place.make('postgres')
    await using sketch = await Child.sketch(place)
    yield await compare(sketchedNameOf(conversations), conversations, sketch, server, scale.load)
  }
}

async function compare(
  measure: string,
  conversations: number,
  relay: Child,
  server: Child,
  { warmUpMs, rounds, startMs, roundMs }: Load,
): Promise<Line> {
  most = Math.max(most, conversations)
  const numbers = Array.from({ length: conversations }, (_, i) => i + 1)
  const bare = await each(numbers, (number) => relayTalk(relay, number))
  const real = await each(numbers, (number) => serverTalk(server, number))
  await load(bare, warmUpMs, 0)
  await load(real, warmUpMs, 0)
  const readings = await inTurns(
    rounds,
    () => load(bare, roundMs, startMs),
    () => load(real, roundMs, startMs),
  )
  for (const talk of [...bare, ...real]) talk.close()
  for (const talk of real) acknowledged += talk.acks
  return lineOf(measure, 'acknowledged sends/s', 'larger', readings, mostLagMs)
}

/** In a closed loop a turn of the load maker is as long as all its sockets have work for; beyond this it is starved. */
const mostLagMs = 100

/** One conversation under load: who writes in it, who reads it, and what both have heard. */
class Talk {
  acks = 0
  copies = 0
  failure: string | undefined
  isIdle = true
  isWanted = false
  readonly #writer: ClientSocket
  readonly #reader: ClientSocket
  readonly #conversation: number

  constructor(conversation: number, writer: ClientSocket, reader: ClientSocket) {
    this.#conversation = conversation
    this.#writer = writer
    this.#reader = reader
  }

  send(): void {
    this.isIdle = false
    this.#writer.write(sendFrame(this.#conversation))
  }

  acknowledged(): void {
    this.acks++
    this.isIdle = true
    if (this.isWanted) this.send()
  }

  /** Nothing in flight, nothing on its way to the reader. */
  get isSettled(): boolean {
    return this.isIdle && this.copies >= this.acks
  }

  get whatIsWrong(): string | undefined {
    const gone = this.#writer.failure ?? this.#reader.failure
    if (gone) return gone.message
    // A copy may be faster than the acknowledgement of the same message, which is still in flight then.
    if (this.isIdle && this.copies > this.acks) return `${this.copies} copies of ${this.acks} messages`
    return this.failure
  }

  close(): void {
    this.#writer.close()
    this.#reader.close()
  }
}

async function serverTalk(server: Child, number: number): Promise<Talk> {
  return talkOf(number, await join(server, number * 2), await join(server, number * 2 + 1))
}

async function relayTalk(relay: Child, number: number): Promise<Talk> {
  return talkOf(number, await enter(relay, `pair-${number}`), await enter(relay, `pair-${number}`))
}

function talkOf(number: number, writer: ClientSocket, reader: ClientSocket): Talk {
  const talk = new Talk(number, writer, reader)
  writer.onFrame = (bytes, start, end) => {
    const heard = read(bytes, start, end)
    if (heard.kind !== 'reply') return
    if (heard.ok) talk.acknowledged()
    else talk.failure ??= bytes.toString('utf8', start, end)
  }
  reader.onFrame = inOrder(talk)
  return talk
}

/** Counts copies; one that is missing, doubled or out of order is a fault. */
function inOrder(talk: Talk): OnFrame {
  let last: number | undefined
  return (bytes, start, end) => {
    const heard = read(bytes, start, end)
    if (heard.kind !== 'message') return
    if (last !== undefined && heard.seq !== last + 1) talk.failure ??= `${heard.seq} came after ${last}`
    last = heard.seq
    talk.copies++
  }
}

/** Lets all talk for a while. A send that is never acknowledged, or a copy that never comes, is a failure. */
async function load(talks: Talk[], forMs: number, afterMs: number): Promise<Reading> {
  const count = () => talks.reduce((sum, { acks }) => sum + acks, 0)
  for (const talk of talks) {
    talk.isWanted = true
    talk.send()
  }
  await wait(afterMs)
  const before = count()
  const since = performance.now()
  const { lagMs } = await watchingLag(() => wait(forMs))
  const value = ((count() - before) / (performance.now() - since)) * 1_000
  for (const talk of talks) talk.isWanted = false
  const unsettled = () => talks.filter((talk) => !talk.isSettled).length
  await until(
    () => unsettled() === 0 || talks.some((talk) => talk.whatIsWrong),
    10_000,
    () => `In ${unsettled()} conversations a message was not acknowledged, or did not reach the other person`,
  )
  for (const { whatIsWrong } of talks) if (whatIsWrong) throw new Error(whatIsWrong)
  return { value, lagMs }
}

/** What was acknowledged is stored, once each, with positions that have no holes. */
async function verify(pool: Pool): Promise<void> {
  const { rows } = await pool.query<Record<string, number>>(`select
    (select count(*)::int from message where conversation_id <= ${idIn('conversation', `${most}`)}) as stored,
    sum(last_seq)::int as positions, sum(message_count)::int as counted
    from conversation where id <= ${idIn('conversation', `${most}`)}`)
  const { stored, positions, counted } = rows[0] ?? {}
  if (stored !== acknowledged || positions !== stored || counted !== stored) {
    throw new Error(
      `${acknowledged} sends were acknowledged; ${stored} are stored at ${positions} positions, counted ${counted}`,
    )
  }
}
