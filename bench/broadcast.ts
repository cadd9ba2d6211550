import { setTimeout as wait } from 'node:timers/promises'
import { seedGroup, seedPeople } from './cast.ts'
import type { Child } from './child.ts'
import { type Bench, inTurns, type Line, lineOf, type Reading, type Tenant, watchingLag } from './measure.ts'
import type { ClientSocket } from './socket.ts'
import { each, enter, join, read, sendFrame, until } from './wire.ts'

/**
 * One message to many listeners, against the relay: in a group of that many people, one writes and all have the
 * conversation open. A closed loop: the next message is sent when everybody has heard the one before, so that the
 * commit is part of every turn.
 */
export const broadcast: Tenant = {
  names: ({ listeners }) => [nameOf(listeners)],
  seed: async (pool, { scale }) => {
    await seedPeople(pool, { first: firstPerson, count: scale.listeners })
    await seedGroup(pool, { conversation: group, people: scale.listeners, firstPerson })
  },
  run,
}

const nameOf = (listeners: number) => `broadcast_${listeners}_listeners`
const mostLagMs = 100
const group = 2_001
const firstPerson = 10_001

async function* run(
  { scale }: Bench,
  { relay, server }: { relay: Child; server: Child },
): AsyncGenerator<Line> {
  const people = Array.from({ length: scale.listeners }, (_, i) => firstPerson + i)
  const bare = new Crowd(await each(people, () => enter(relay, 'group')))
  const real = new Crowd(await each(people, (person) => join(server, person, { follow: group })))
  const { warmUpMs, rounds, roundMs } = scale.load
  await real.listen(warmUpMs)
  await bare.listen(warmUpMs)
  const readings = await inTurns(
    rounds,
    () => bare.listen(roundMs),
    () => real.listen(roundMs),
  )
  bare.close()
  real.close()
  yield lineOf(nameOf(scale.listeners), 'deliveries/s', 'larger', readings, mostLagMs)
}

/** The people of the group; the first one writes. */
class Crowd {
  readonly #sockets: ClientSocket[]
  #sent = 0
  #heard = 0
  #isWanted = false
  #fault: string | undefined

  constructor(sockets: ClientSocket[]) {
    this.#sockets = sockets
    for (const socket of sockets) {
      let last: number | undefined
      socket.onFrame = (bytes, start, end) => {
        const heard = read(bytes, start, end)
        if (heard.kind === 'reply' && !heard.ok) this.#fault ??= bytes.toString('utf8', start, end)
        if (heard.kind !== 'message') return
        if (last !== undefined && heard.seq !== last + 1) this.#fault ??= `${heard.seq} came after ${last}`
        last = heard.seq
        this.#hear()
      }
    }
  }

  /** Deliveries a second. */
  async listen(forMs: number): Promise<Reading> {
    const before = this.#heard
    const since = performance.now()
    this.#isWanted = true
    this.#send()
    const { lagMs } = await watchingLag(() => wait(forMs))
    this.#isWanted = false
    await until(
      () => this.#isSettled || this.#whatIsWrong !== undefined,
      10_000,
      () => `${this.#sent * this.#sockets.length - this.#heard} deliveries are missing`,
    )
    if (this.#whatIsWrong) throw new Error(this.#whatIsWrong)
    return { value: ((this.#heard - before) / (this.#settledAt - since)) * 1_000, lagMs }
  }

  close(): void {
    for (const socket of this.#sockets) socket.close()
  }

  #settledAt = 0

  #send(): void {
    this.#sent++
    this.#sockets[0]?.write(sendFrame(group))
  }

  #hear(): void {
    this.#heard++
    if (!this.#isSettled) return
    this.#settledAt = performance.now()
    if (this.#isWanted) this.#send()
  }

  get #isSettled(): boolean {
    return this.#heard === this.#sent * this.#sockets.length
  }

  get #whatIsWrong(): string | undefined {
    return this.#fault ?? this.#sockets.find((socket) => socket.failure)?.failure?.message
  }
}
