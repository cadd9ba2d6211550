import { randomInt } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openStore } from '../../src/store/store.ts'
import { makePlace, type Place, type SpawnedServer, spawnServer, startServer } from '../../src/testing.ts'
import { readOverRest, witness } from '../final-reads.ts'
import { check } from '../history.ts'
import { Recorder } from '../history-lines.ts'
import { keepFollowing, keepReading, keepSending, Stage, untilCaughtUp } from '../stage.ts'
import { makeCast, settings } from './cast.ts'
import { asSent, keepSpeaking, numbersIn } from './speaking.ts'
import { speakersOf } from './voices.ts'

const kills = 6

test('6 times kill -9 during sends of all dialects: what a dialect acknowledged is there once, at its place', async () => {
  const seed = Number(process.env.SEED) || randomInt(1, 2 ** 31)
  const place = await makePlace()
  const recorder = new Recorder()
  const stage = new Stage(recorder)
  let server: SpawnedServer | undefined
  try {
    const { olga, cora, sam, sue, tom, shared, speakers, pairId } = await castAt(place)
    const places = { shared: shared.id, pair: pairId }
    const followers = [
      keepFollowing(stage, { who: olga, way: 'websocket', conversations: [shared.id], sees: 'agents' }),
      keepFollowing(stage, { who: cora, way: 'sse', conversations: [shared.id], sees: 'everyone' }),
      keepFollowing(stage, { who: sue, way: 'websocket', conversations: [pairId], sees: 'everyone' }),
    ]
    const playing = Promise.all([
      ...speakers.map((speaker) =>
        keepSpeaking(stage, { speaker, conversation: places[speaker.conversation] }),
      ),
      keepSending(stage, { who: sam, way: 'websocket', conversation: shared.id }),
      keepReading(stage, cora, shared.id),
      keepReading(stage, tom, pairId),
    ])
    const heardOf = ({ dialect, way, who }: (typeof speakers)[number]) =>
      recorder.lines.filter(
        (line) =>
          line.f === 'send' &&
          line.type === 'ok' &&
          line.sender === who.userId &&
          line.process.startsWith(`${dialect}/${way}/`),
      ).length
    for (let kill = 1; kill <= kills; kill++) {
      const before = speakers.map(heardOf)
      server = await spawnServer(place)
      stage.up(server.url)
      await Promise.race([playing, stage.acknowledged(80 + ((seed * kill) % 80), 5_000)])
      // A kill that comes before everybody has spoken again says nothing of those who had not.
      const allSpoke = () => speakers.every((speaker, i) => heardOf(speaker) > (before[i] ?? 0) + 1)
      for (let waited = 0; !allSpoke() && waited < 10_000; waited += 50) await wait(50)
      await wait((seed * kill) % 20)
      stage.down()
      await server.kill()
      const evidence = await Promise.race([server.exited, wait(1_000, null)])
      recorder.write({
        f: 'fault',
        type: 'ok',
        process: 'test',
        transport: 'none',
        what: 'kill -9',
        evidence: evidence === 'SIGKILL' ? `process ${server.pid} ended with ${evidence}` : null,
      })
    }
    server = await spawnServer(place)
    stage.isOver = true
    stage.up(server.url)
    await playing

    for (const id of Object.values(places))
      await readOverRest(recorder, server.url, id, { who: olga, sees: 'agents' })
    await readOverRest(recorder, server.url, shared.id, { who: cora, sees: 'everyone' })
    const behind = await untilCaughtUp(recorder, followers)
    await Promise.all(followers.map((follower) => follower.stop()))
    await server.kill()
    const verdict = check(asSent(recorder.lines, await readStore(recorder, place)), seed)
    console.log(`kill -9, ${kills} times, in dialects: ${JSON.stringify(verdict)}`)

    expect(verdict).toMatchObject({ valid: true, firstViolations: [] })
    expect(behind).toEqual([])
    expect(verdict.counts['fault ok']).toBe(kills)
    // Kills that cut nobody off, and speakers that were never heard, would show nothing.
    expect(verdict.counts['send info']).toBeGreaterThan(kills)
    for (const speaker of speakers) {
      expect(heardOf(speaker), `${speaker.dialect}/${speaker.way}`).toBeGreaterThan(kills)
    }
  } catch (error) {
    throw new Error(`With SEED=${seed}: ${error instanceof Error ? error.message : error}`, { cause: error })
  } finally {
    stage.isOver = true
    await server?.kill()
    await place.remove()
  }
}, 180_000)

/** Made in this process, so that the one to be killed finds everybody there. */
async function castAt(place: Place) {
  await using server = await startServer({ ...settings, place })
  const cast = await makeCast(server)
  const { conversation } = await cast.sue.call('conversation.create', {
    kind: 'direct',
    participantIds: [cast.tom.userId],
  })
  return { ...cast, pairId: conversation.id, speakers: speakersOf(cast) }
}

/** The tables as the last server left them, and the names that ServiceHub gave to what is in them. */
async function readStore(recorder: Recorder, place: Place): Promise<Map<string, string>> {
  const { DATABASE_URL = null, DATA_DIR = '' } = place.env
  const store = await openStore({ databaseUrl: DATABASE_URL, dataDir: DATA_DIR, poolSize: 4 })
  try {
    await witness(recorder, store)
    return await numbersIn(store)
  } finally {
    await store.close()
  }
}
