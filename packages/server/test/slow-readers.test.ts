import { limits, type ServerFrame } from '@parley/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startServer, type TestServer } from '../src/testing.ts'
import { openPoll, openStream } from './streams.ts'
import { openWire, transports } from './wires.ts'
import { expectHealthy, makeWorld, untilPassed, type World } from './world.ts'

const outboxBytes = 65_536
let server: TestServer
let world: World

beforeAll(async () => {
  server = await startServer({ env: { MAX_OUTBOX_BYTES: String(outboxBytes) } })
  world = await makeWorld(server)
})
afterAll(() => server[Symbol.asyncDispose]())

const slowReaders = async () => (await server.running.parley.metrics.slowReaders.get()).values[0]?.value ?? 0

/** Talks until the server has ended one more slow reader; the system’s own buffers have to be filled first. */
async function talkUntilEnded(before: number): Promise<number> {
  const { ana, conversationId } = world
  const body = 'x'.repeat(limits.messageBytes)
  for (let sent = 0; sent < 1_500; sent += 10) {
    let seq = 0
    for (let i = 0; i < 10; i++) ({ seq } = await ana.send(conversationId, body))
    if ((await slowReaders()) > before) return seq
  }
  throw new Error('48 MB were sent and nobody was too slow')
}

test('[T12] [G8] who stops reading is terminated beyond the limit; others go on, and it resumes without a gap', async () => {
  const { ana, sam, conversationId } = world
  const before = await slowReaders()
  const slow = await sam.connect({ follow: [{ conversationId, after: 0 }] })
  const quick = await ana.connect({ follow: [{ conversationId, after: 0 }] })
  await slow.until((frame) => frame.type === 'caughtup')
  slow.websocket.pause()
  const peers = server.running.parley.peers.size
  const last = await talkUntilEnded(before)
  await quick.until((frame) => frame.type === 'message.created' && frame.seq === last)
  expect(server.running.parley.peers.size).toBe(peers - 1)
  await expectHealthy(world)

  // What had left already is read now, then the connection is found to be lost without a farewell.
  slow.websocket.resume()
  expect(await slow.closed()).toBe(1006)
  const heard = slow.entries(conversationId).map(({ seq }) => seq)
  const position = heard.at(-1) ?? 0
  expect(position).toBeLessThan(last)
  const again = await sam.connect({ follow: [{ conversationId, after: position }] })
  await again.until((frame) => frame.type === 'caughtup')
  const all = [...heard, ...again.entries(conversationId).map(({ seq }) => seq)]
  expect(all).toEqual(Array.from({ length: all.length }, (_, i) => i + 1))
  expect(all.length).toBeGreaterThanOrEqual(last)
  for (const socket of [quick, again]) socket.close()
})

test('[R10] [T12] who reads may catch up on far more than the limit of the queue', async () => {
  const { sam, conversationId } = world
  const { lastSeq } = await sam.call('message.list', { conversationId, limit: 1 })
  const bytes = lastSeq * limits.messageBytes
  expect(bytes).toBeGreaterThan(outboxBytes * 4)
  for (const open of [openStream, openPoll]) {
    const stream = await open(sam, { follow: [{ conversationId, after: 0 }] })
    await stream.until((frame) => frame.type === 'caughtup' && frame.seq === lastSeq, 20_000)
    const seqs = stream.heard.flatMap((frame) =>
      'seq' in frame && frame.type !== 'caughtup' ? [frame.seq] : [],
    )
    expect(seqs).toEqual(Array.from({ length: lastSeq }, (_, i) => i + 1))
    stream.close()
  }
})

test('[T12] a poll that is not asked for any more is ended beyond the limit, and holds no more than that', async () => {
  const { sam } = world
  const hello = { type: 'hello', token: sam.token }
  const opened = await server.rest('POST', '/api/v1/realtime/poll', { body: hello })
  const before = await slowReaders()
  await talkUntilEnded(before)
  const path = `/api/v1/realtime/poll/${opened.body.connectionId}`
  expect((await server.rest('POST', path, { token: sam.token, body: {} })).status).toBe(404)
  await expectHealthy(world)
})

test('[R7] [T12] who reads may be told of far more changed conversations than the limit of the queue', async () => {
  const { ana, sam } = world
  await untilPassed(server, 'person', sam.userId)
  const { cursor } = await sam.call('conversation.list', {})
  const body = 'x'.repeat(limits.messageBytes)
  const count = (8 * outboxBytes) / limits.messageBytes
  const written = await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const { conversation } = await ana.call('conversation.create', { kind: 'support', clientKey: `${n}` })
      await ana.send(conversation.id, body)
      return conversation.id
    }),
  )
  for (const transport of transports) {
    const told = new Set<string>()
    const hear = (frame: ServerFrame) => {
      if (frame.type === 'conversation.changed') told.add(frame.summary.conversation.id)
    }
    const wire = await openWire(transport, { ...sam, hello: { cursor }, hear })
    const missing = () => written.filter((id) => !told.has(id))
    await expect.poll(missing, { timeout: 30_000, message: transport }).toEqual([])
    wire.close()
  }
}, 120_000)
