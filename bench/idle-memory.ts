import { seedPeople, seedWorkspace } from './cast.ts'
import { Child } from './child.ts'
import { type Bench, inTurns, type Line, lineOf, type Measure, type Reading } from './measure.ts'
import { Place } from './place.ts'
import { addressFor, each, enter, join } from './wire.ts'

/**
 * Resident memory that one idle connection takes, each of another signed-in person, above the same process without
 * connections; against the relay. Every round has new processes, since one that was full keeps what it had.
 */
export const idleMemory: Measure = { names: () => [name], run: runIdleMemory }

const name = 'idle_connection_memory'

async function* runIdleMemory({ scale, store }: Bench): AsyncGenerator<Line> {
  await using place = await Place.make(store)
  await place.open(async (pool) => {
    await seedWorkspace(pool)
    await seedPeople(pool, { first: 1, count: scale.idleConnections + warmUps })
    await pool.query('vacuum analyze')
  })
  const people = Array.from({ length: scale.idleConnections }, (_, i) => i + 1)
  const readings = await inTurns(
    scale.rounds,
    async () => {
      await using relay = await Child.relay()
      return await fill(relay, people, (person) => enter(relay, `room-${person}`, addressFor(person)))
    },
    async () => {
      await using server = await Child.server(place)
      return await fill(server, people, (person) => join(server, person, { from: addressFor(person) }))
    },
  )
  yield lineOf(name, 'bytes/connection', 'smaller', readings, Number.POSITIVE_INFINITY)
}

const warmUps = 200

async function fill(
  child: Child,
  people: number[],
  connect: (person: number) => Promise<{ close(): void; failure: Error | undefined }>,
): Promise<Reading> {
  // Code is compiled and pools are filled by the first ones; what that takes is not what a connection takes.
  const early = await each(
    Array.from({ length: warmUps }, (_, i) => people.length + i + 1),
    connect,
  )
  for (const socket of early) socket.close()
  const empty = await child.memory()
  const sockets = await each(people, connect)
  const full = await child.memory()
  const gone = sockets.find((socket) => socket.failure)
  if (gone) throw gone.failure
  for (const socket of sockets) socket.close()
  return { value: (full - empty) / people.length, lagMs: 0 }
}
