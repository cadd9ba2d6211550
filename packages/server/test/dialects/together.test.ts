import type { Message } from '@parley/protocol'
import type { Socket } from 'socket.io-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startServer, type TestServer, TestSocket } from '../../src/testing.ts'
import { readOverRest } from '../final-reads.ts'
import { check } from '../history.ts'
import { Recorder } from '../history-lines.ts'
import { keepFollowing, Stage, untilCaughtUp } from '../stage.ts'
import { type Cast, doorsOf, makeCast, settings } from './cast.ts'
import { asSent, keepSpeaking } from './speaking.ts'
import { connectIo, type Frame, inRoom, RawLine, speakersOf } from './voices.ts'

/*
 * What can share one conversation: ServiceHub, Priyo, CareForAll and Live Support do, with the native API (`cast.ts`
 * says who is who). A TutorGo conversation is of two people and nobody else can come in, so it is a second one, which
 * CareForAll clients of the same two people and a native client read.
 */

let server: TestServer
let cast: Cast
let door: ReturnType<typeof doorsOf>

beforeAll(async () => {
  server = await startServer(settings)
  cast = await makeCast(server)
  door = doorsOf(server)
}, 60_000)
afterAll(() => server[Symbol.asyncDispose]())

test('all five dialects at once: order, receipts and unread agree in all of them, and nothing is wrong with the history', async () => {
  const { olga, cora, sam, pia, shared, sue } = cast
  const recorder = new Recorder()
  const stage = new Stage(recorder)
  stage.up(server.url)
  const pairId = await conversationOfPair()
  const places = { shared: shared.id, pair: pairId }
  const followers = [
    keepFollowing(stage, { who: olga, way: 'websocket', conversations: [shared.id], sees: 'agents' }),
    keepFollowing(stage, { who: cora, way: 'websocket', conversations: [shared.id], sees: 'everyone' }),
    keepFollowing(stage, { who: sue, way: 'sse', conversations: [pairId], sees: 'everyone' }),
  ]
  const socket = await TestSocket.open(server.url, {
    token: sam.token,
    follow: [{ conversationId: shared.id, after: 0 }],
  })
  const ears = await listen()
  const before = await stored(shared.id)
  await Promise.all(
    speakersOf(cast).map((speaker) => keepSpeaking(stage, { speaker, conversation: places[speaker.conversation], most: 12 })),
  )
  await socket.command('message.send', { conversationId: shared.id, clientMessageId: 'n', body: 'and natively' })

  // Order: as the log has it, on every socket and in every history.
  const all = await stored(shared.id)
  const order = all.slice(before.length).map((message) => message.body)
  expect(order).toHaveLength(7 * 12 + 1)
  for (const [name, heard] of Object.entries(ears.inShared)) {
    await expect.poll(() => bodiesIn(heard(), order), { message: name, timeout: 5_000 }).toEqual(order)
  }
  expect(socket.entries(shared.id).flatMap(({ body }) => body ?? []).filter((body) => order.includes(body))).toEqual(order)
  for (const [name, history] of Object.entries(await histories())) {
    expect({ name, bodies: bodiesIn(history, order) }).toEqual({ name, bodies: order })
  }
  const said = (await stored(pairId, sue)).map((message) => message.body)
  expect(said).toHaveLength(1 + 2 * 12)
  for (const [name, heard] of Object.entries(ears.inPair))
    await expect.poll(() => bodiesIn(heard(), said.slice(1)), { message: name }).toEqual(said.slice(1))
  for (const [name, history] of Object.entries(await historiesOfPair()))
    expect({ name, bodies: bodiesIn(history, said) }).toEqual({ name, bodies: said })

  await unreadAgrees()
  await receiptsAgree(ears)

  for (const id of Object.values(places)) await readOverRest(recorder, server.url, id, { who: olga, sees: 'agents' })
  await readOverRest(recorder, server.url, shared.id, { who: cora, sees: 'everyone' })
  await readOverRest(recorder, server.url, pairId, { who: sue, sees: 'everyone' })
  expect(await untilCaughtUp(recorder, followers)).toEqual([])
  stage.isOver = true
  await Promise.all(followers.map((follower) => follower.stop()))
  const verdict = check(asSent(recorder.lines), 0)
  expect(verdict).toMatchObject({ valid: true, firstViolations: [] })
  ears.close()
  socket.close()
}, 60_000)
