import type { Message } from '@parley/protocol'
import { expect, test } from 'vitest'
import { startServer, type TestServer } from '../src/testing.ts'
import { readOverRest, witness } from './final-reads.ts'
import { check } from './history.ts'
import { Recorder } from './history-lines.ts'
import { keepFollowing, keepSending, Stage, untilCaughtUp, type Way } from './stage.ts'
import { openWire, transports } from './wires.ts'

const ways: Way[] = ['rest', 'websocket', 'sse', 'poll']

async function cast(server: TestServer) {
  const olga = await server.person('owner', 'olga')
  const [ana, bea] = [await server.person('contact', 'ana'), await server.person('contact', 'bea')]
  const { conversation } = await olga.call('conversation.create', {
    kind: 'group',
    participantIds: [ana.userId, bea.userId],
  })
  return { olga, ana, bea, id: conversation.id }
}

test('[L1] [L2] [L3] [G2] many senders to one conversation over every transport: one order, dense, the same for all', async () => {
  await using server = await startServer()
  const { olga, ana, bea, id } = await cast(server)
  const recorder = new Recorder()
  const stage = new Stage(recorder)
  stage.up(server.url)
  const followers = transports.map((way) =>
    keepFollowing(stage, { who: bea, way, conversations: [id], sees: 'everyone' }),
  )
  const lanes = [olga, ana, bea].flatMap((who) =>
    ways.flatMap((way) => Array.from({ length: 4 }, () => ({ who, way, conversation: id, most: 12 }))),
  )
  await Promise.all(lanes.map((lane) => keepSending(stage, lane)))
  await readOverRest(recorder, server.url, id, { who: olga, sees: 'agents' })
  await readOverRest(recorder, server.url, id, { who: ana, sees: 'everyone' })
  expect(await untilCaughtUp(recorder, followers)).toEqual([])
  await Promise.all(followers.map((follower) => follower.stop()))
  await witness(recorder, server.running.parley.chat)

  const verdict = check(recorder.lines, 0)
  expect(verdict).toMatchObject({ valid: true, firstViolations: [] })
  const sent = lanes.length * 12
  expect(verdict.counts).toMatchObject({ messages: sent, acknowledged: sent, 'deliver ok': 3 * (sent + 4) })
})

test('[T3] sends that one socket does not wait for keep their order, among others who send as fast', async () => {
  await using server = await startServer()
  const { ana, bea, id } = await cast(server)
  const sendAll = async (who: typeof ana, name: string) => {
    const wire = await openWire('websocket', who)
    const replies = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        wire.command('message.send', { conversationId: id, clientMessageId: `${name} ${i}`, body: `${i}` }),
      ),
    )
    wire.close()
    return replies.map((reply) => (reply.result as Message).seq)
  }
  const inOrder = await Promise.all([sendAll(ana, 'a'), sendAll(ana, 'b'), sendAll(bea, 'c')])
  for (const seqs of inOrder) expect(seqs).toEqual(seqs.toSorted((a, b) => a - b))
  expect(inOrder.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 600 }, (_, i) => i + 5))
})

test('[T8] frames that one poll carries up begin in their order, and a poll beside another goes on hearing', async () => {
  await using server = await startServer()
  const { ana, bea, id } = await cast(server)
  const poll = async (path: string, body: object) =>
    (await server.rest('POST', `/api/v1/realtime/poll${path}`, { token: ana.token, body })).body
  const { connectionId } = await poll('', { type: 'hello', token: ana.token, feed: false })
  const idle = poll(`/${connectionId}`, { frames: [] })
  const frames = Array.from({ length: 100 }, (_, i) => ({
    type: 'message.send',
    id: i + 1,
    conversationId: id,
    clientMessageId: `${i}`,
    body: `${i}`,
  }))
  const heard = [
    ...(await Promise.all([idle, poll(`/${connectionId}`, { frames })])).flatMap((all) => all.frames),
  ]
  while (heard.length < frames.length) heard.push(...(await poll(`/${connectionId}`, { frames: [] })).frames)
  const { messages } = await bea.call('message.list', { conversationId: id, limit: 200 })
  expect(messages.map((message) => message.body)).toEqual(frames.map((frame) => frame.body))
  expect(heard.filter((frame) => frame.type === 'reply' && frame.ok)).toHaveLength(100)
})

test('[L3] an agent who has not joined yet may send twice at once: both arrive, and the agent joins once', async () => {
  await using server = await startServer()
  const ana = await server.person('contact', 'ana')
  const sam = await server.person('agent', 'sam')
  const { conversation } = await ana.call('conversation.create', { kind: 'support' })
  const { id } = conversation
  await Promise.all(Array.from({ length: 20 }, (_, i) => sam.send(id, `${i}`)))
  const { events } = await sam.call('log.list', { conversationId: id, after: 0 })
  expect(events.map((event) => event.seq)).toEqual(Array.from({ length: 23 }, (_, i) => i + 1))
  expect(events.filter((event) => event.type === 'participant.joined')).toHaveLength(2)
})
