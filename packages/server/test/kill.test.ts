import { randomInt } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { makePlace, type Place, type SpawnedServer, spawnServer, startServer } from '../src/testing.ts'
import { readOverRest, readOverSql } from './final-reads.ts'
import { check } from './history.ts'
import { Recorder } from './history-lines.ts'
import { keepFollowing, keepReading, keepSending, Stage, untilCaughtUp } from './stage.ts'

const kills = 25

test('[L4] [G1] [G4] 25 times kill -9 during sends: what was acknowledged is there once, at its place, and retries are told the same', async () => {
  const seed = Number(process.env.SEED) || randomInt(1, 2 ** 31)
  const random = randomFrom(seed)
  const place = await makePlace()
  const recorder = new Recorder()
  const stage = new Stage(recorder)
  let server: SpawnedServer | undefined
  try {
    const { ana, bea, sam, olga, talks } = await cast(place)
    const { first, second, group, pair } = talks
    const lanes = [
      { who: ana, way: 'rest', conversation: first },
      { who: ana, way: 'websocket', conversation: first },
      { who: sam, way: 'websocket', conversation: first },
      { who: sam, way: 'rest', conversation: first, isNote: true },
      { who: olga, way: 'websocket', conversation: group },
      { who: ana, way: 'sse', conversation: group },
      { who: bea, way: 'poll', conversation: group },
      { who: sam, way: 'rest', conversation: group },
      { who: bea, way: 'websocket', conversation: second },
      { who: bea, way: 'rest', conversation: second },
      { who: sam, way: 'sse', conversation: second },
      { who: sam, way: 'poll', conversation: second },
      { who: olga, way: 'rest', conversation: pair },
      { who: olga, way: 'rest', conversation: pair },
      { who: bea, way: 'websocket', conversation: pair },
      { who: bea, way: 'websocket', conversation: pair },
    ] as const
    const followers = [
      keepFollowing(stage, { who: ana, way: 'websocket', conversations: [first, group], sees: 'everyone' }),
      keepFollowing(stage, { who: sam, way: 'websocket', conversations: [first, second], sees: 'agents' }),
      keepFollowing(stage, { who: bea, way: 'sse', conversations: [second, group, pair], sees: 'everyone' }),
      keepFollowing(stage, { who: olga, way: 'poll', conversations: [first, pair], sees: 'agents' }),
    ]
    const playing = Promise.all([
      ...lanes.map((lane) => keepSending(stage, lane)),
      keepReading(stage, ana, first),
      keepReading(stage, bea, pair),
    ])

    let slowestStart = 0
    server = await spawnServer(place)
    for (let kill = 1; kill <= kills; kill++) {
      stage.up(server.url)
      await Promise.race([playing, stage.acknowledged(10 + Math.floor(random() * 120), 1_500)])
      await wait(random() * 20)
      stage.down()
      const { pid } = server
      await server.kill()
      const startedAt = performance.now()
      server = await spawnServer(place)
      slowestStart = Math.max(slowestStart, performance.now() - startedAt)
      const evidence = server.pid === pid ? null : `process ${pid} became ${server.pid}`
      recorder.write({
        f: 'fault',
        type: 'ok',
        process: 'test',
        transport: 'none',
        what: 'kill -9',
        evidence,
      })
    }
    stage.isOver = true
    stage.up(server.url)
    await playing

    for (const id of Object.values(talks))
      await readOverRest(recorder, server.url, id, { who: olga, sees: 'agents' })
    await readOverRest(recorder, server.url, first, { who: ana, sees: 'everyone' })
    await readOverRest(recorder, server.url, group, { who: bea, sees: 'everyone' })
    const behind = await untilCaughtUp(recorder, followers)
    await Promise.all(followers.map((follower) => follower.stop()))
    await server.kill()
    await readOverSql(recorder, place)

    const verdict = check(recorder.lines, seed)
    console.log(`kill -9, ${kills} times: ${JSON.stringify({ ...verdict, slowestStart })}`)
    expect(verdict).toMatchObject({ valid: true, firstViolations: [] })
    expect(behind).toEqual([])
    expect(verdict.counts['fault ok']).toBe(kills)
    expect(verdict.counts['resume reset']).toBeUndefined()
    // Kills that cut nobody off would show nothing.
    expect(verdict.counts['send info']).toBeGreaterThan(kills)
  } catch (error) {
    throw new Error(`With SEED=${seed}: ${error instanceof Error ? error.message : error}`, { cause: error })
  } finally {
    stage.isOver = true
    await server?.kill()
    await place.remove()
  }
}, 300_000)

/** Made in this process, so that the one to be killed finds them there. */
async function cast(place: Place) {
  await using server = await startServer({ place })
  const ana = await server.person('contact', 'ana')
  const bea = await server.person('contact', 'bea')
  const sam = await server.person('agent', 'sam')
  const olga = await server.person('owner', 'olga')
  const group = (participantIds: string[]) =>
    olga.call('conversation.create', { kind: 'group', participantIds })
  const talks = {
    first: (await ana.call('conversation.create', { kind: 'support' })).conversation.id,
    second: (await bea.call('conversation.create', { kind: 'support' })).conversation.id,
    group: (await group([ana.userId, bea.userId, sam.userId])).conversation.id,
    pair: (await group([bea.userId])).conversation.id,
  }
  return { ana, bea, sam, olga, talks }
}

/** Small and good enough: mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
