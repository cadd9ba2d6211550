import { limits } from '@parley/protocol'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { startServer, type TestServer, type TestSocket } from '../src/testing.ts'
import { openPoll, openStream } from './streams.ts'
import { makeWorld, type World } from './world.ts'

let server: TestServer
let world: World

// Only the clock that heartbeats go by is ours; sockets, stores and the rest of the time are real.
beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  server = await startServer()
  world = await makeWorld(server)
})
afterEach(() => new Promise((resolve) => setTimeout(resolve, 50)))
afterAll(async () => {
  vi.useRealTimers()
  await server[Symbol.asyncDispose]()
})

/** Lets time pass in small steps, so that what is sent in between arrives in between. */
async function pass(ms: number, meanwhile: () => void = () => {}): Promise<void> {
  for (let passed = 0; passed < ms; passed += 5_000) {
    vi.advanceTimersByTime(Math.min(5_000, ms - passed))
    meanwhile()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const beats = (socket: Pick<TestSocket, 'heard'>) => socket.heard.filter(({ type }) => type === 'heartbeat')

test('[T10] every `heartbeatMs` each connection hears a heartbeat with the list position and what it was sent', async () => {
  const { sam, ana, conversationId } = world
  const welcomed = [await sam.connect(), await openStream(sam), await openPoll(sam)]
  for (const one of welcomed) {
    expect(await one.until(({ type }) => type === 'welcome')).toMatchObject({
      heartbeatMs: limits.heartbeatMs,
    })
  }
  await pass(limits.heartbeatMs)
  for (const one of welcomed) {
    await one.until(({ type }) => type === 'heartbeat')
    expect(beats(one)).toHaveLength(1)
    expect(beats(one)).toMatchObject([{ sent: 0, cursor: expect.any(String) }])
  }
  const { seq } = await ana.send(conversationId, 'counted')
  for (const one of welcomed) {
    await one.until((frame) => frame.type === 'message.created' && frame.seq === seq)
  }
  await pass(limits.heartbeatMs)
  for (const one of welcomed) {
    await one.until((frame) => frame.type === 'heartbeat' && frame.sent === 1)
    expect(beats(one)).toHaveLength(2)
    one.close()
  }
})

test('[T10] [G11] a peer that is silent for `deadPeerMs` is ended, one that beats is not', async () => {
  const silent = await world.sam.connect()
  const stream = await openStream(world.sam)
  const alive = await world.ana.connect()
  const poll = await openPoll(world.ana)
  const beat = () => alive.write({ type: 'heartbeat', received: 0 })
  await pass(limits.deadPeerMs - 5_000, beat)
  expect(silent.closeCode).toBeUndefined()
  await pass(limits.heartbeatMs + 10_000, beat)
  expect(await silent.closed()).toBe(4010)
  await stream.ended(10_000)
  expect(stream.heard.at(-1)).toEqual({ type: 'close', reason: 'peer_silent' })
  await pass(limits.deadPeerMs * 2, beat)
  expect(alive.closeCode).toBeUndefined()
  expect(await alive.command('unread.get')).toMatchObject({ ok: true })
  alive.close()
  poll.close()
})

test('[G11] a peer that vanished without a word is offline for those who watch', async () => {
  const { ana, sam } = world
  const gone = await ana.connect()
  const watcher = await sam.connect()
  const { result } = await watcher.command('presence.watch', { userIds: [ana.userId] })
  expect(result).toMatchObject({ presence: [{ userId: ana.userId, state: 'online' }] })
  // It hears and says nothing any more, not even that it has closed.
  gone.websocket.pause()
  await pass(limits.deadPeerMs + limits.heartbeatMs, () => watcher.write({ type: 'heartbeat' }))
  await watcher.until((frame) => frame.type === 'presence.changed' && frame.presence.state === 'offline')
  gone.websocket.terminate()
  watcher.close()
})

test('[G11] a clock that is set forward or back ends nobody', async () => {
  const hours = 2 * 60 * 60_000
  const now = Date.now.bind(Date)
  const socket = await world.ana.connect()
  for (const shift of [hours, -hours]) {
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + shift)
    await pass(limits.heartbeatMs, () => socket.write({ type: 'heartbeat' }))
    await pass(limits.heartbeatMs)
    clock.mockRestore()
    expect(socket.closeCode).toBeUndefined()
    expect(await socket.command('unread.get')).toMatchObject({ ok: true })
  }
  socket.close()
})
