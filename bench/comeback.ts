import { seedPairs, seedPeople, seedWorkspace } from './cast.ts'
import { Child } from './child.ts'
import { type Bench, inTurns, type Line, lineOf, type Measure, type Reading } from './measure.ts'
import { Place } from './place.ts'
import type { ClientSocket } from './socket.ts'
import { addressFor, each, enter, join } from './wire.ts'

/**
 * How long it takes until everybody who was connected is back after a restart, and has been told what they missed: each is
 * another person, signs in, follows a conversation from its beginning and is caught up. Against the relay, where they only
 * connect. Every round has new processes, as a restart does.
 */
export const comeback: Measure = {
  names: ({ comingBack }) => (comingBack > 0 ? [nameOf(comingBack)] : []),
  run: runComeback,
}

const nameOf = (people: number) => `comeback_${people}_connections`
const missed = 2

async function* runComeback({ scale, store }: Bench): AsyncGenerator<Line> {
  const { comingBack } = scale
  await using place = await Place.make(store)
  await place.open(async (pool) => {
    await seedWorkspace(pool)
    await seedPeople(pool, { first: 1, count: comingBack })
    await seedPairs(pool, { first: 1, count: comingBack / 2, firstPerson: 1, messages: missed })
    await pool.query('vacuum analyze')
  })
  const people = Array.from({ length: comingBack }, (_, i) => i + 1)
  const readings = await inTurns(
    scale.rounds,
    async () => {
      await using relay = await Child.relay()
      return await timed(people, (person) => enter(relay, `room-${person}`, addressFor(person)))
    },
    async () => {
      await using server = await Child.server(place)
      return await timed(people, (person) =>
        join(server, person, { follow: Math.ceil(person / 2), missed, from: addressFor(person) }),
      )
    },
  )
  yield lineOf(nameOf(comingBack), 's', 'smaller', readings, Number.POSITIVE_INFINITY)
}

async function timed(people: number[], connect: (person: number) => Promise<ClientSocket>): Promise<Reading> {
  const since = performance.now()
  const sockets = await each(people, connect)
  const value = (performance.now() - since) / 1_000
  const gone = sockets.find(({ failure }) => failure)
  if (gone) throw gone.failure
  for (const socket of sockets) socket.close()
  return { value, lagMs: 0 }
}
