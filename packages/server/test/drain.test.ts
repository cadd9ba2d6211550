import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { makePlace } from '../src/testing.ts'
import { startChild } from './child.ts'
import { openPoll, openStream } from './streams.ts'
import { makeWorld } from './world.ts'

test('[T13] [G10] SIGTERM: not ready at once, goodbye, every send answered, 1012, gone within 15 s; what was acknowledged is there', async () => {
  const place = await makePlace()
  try {
    await using server = await startChild({ place })
    const world = await makeWorld(server)
    const { ana, sam, conversationId } = world
    const socket = await ana.connect()
    const listener = await sam.connect({ follow: [{ conversationId, after: 0 }] })
    const stream = await openStream(sam)
    const poll = await openPoll(sam)
    const sends: Promise<{ ok: boolean; error?: unknown; result?: unknown }>[] = []
    let stopped = false
    const talking = (async () => {
      for (let i = 0; !stopped && socket.closeCode === undefined; i++) {
        const send = socket.command('message.send', {
          conversationId,
          clientMessageId: `n${i}`,
          body: `n${i}`,
        })
        send.catch(() => {})
        sends.push(send)
        // Always some in flight, and fewer than a connection may have.
        await sends[i - 50]?.catch(() => {})
      }
    })()
    await wait(300)
    const startedAt = performance.now()
    server.process.kill('SIGTERM')
    await socket.until(({ type }) => type === 'goodbye', 2_000)
    stopped = true
    await talking
    expect(await socket.closed(12_000)).toBe(1012)
    expect(await listener.closed(1_000)).toBe(1012)
    expect(await server.exited).toBe(0)
    expect(performance.now() - startedAt).toBeLessThan(15_000)

    for (const one of [socket, listener, stream, poll]) {
      expect(one.heard.find(({ type }) => type === 'goodbye')).toMatchObject({ withinMs: expect.any(Number) })
    }
    await stream.ended(1_000)
    expect(stream.heard.at(-1)).toEqual({ type: 'close', reason: 'restarting' })
    // A poll that was not waiting at that moment finds nobody when it asks again.
    await poll.ended(1_000)
    const answers = await Promise.allSettled(sends)
    const answered = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
    const acknowledged = answered.flatMap(({ ok, result }) => (ok ? [(result as { body: string }).body] : []))
    expect(acknowledged.length).toBeGreaterThan(50)
    for (const { ok, error } of answered) {
      if (!ok) expect(error).toMatchObject({ code: 'overloaded', retry: true, notApplied: true })
    }
    // Only what was written after the close may be without an answer.
    const unanswered = answers.findIndex(({ status }) => status === 'rejected')
    expect(
      answers
        .slice(unanswered < 0 ? answers.length : unanswered)
        .every(({ status }) => status === 'rejected'),
    ).toBe(true)

    await using again = await startChild({ place })
    const { events } = await again.owner.call('log.list', { conversationId, after: 0, limit: 500 })
    const bodies = new Set<string>()
    for (let page = events; page.length > 0; ) {
      for (const event of page) if (event.type === 'message.created') bodies.add(event.message.body)
      page = (
        await again.owner.call('log.list', { conversationId, after: page.at(-1)?.seq ?? 0, limit: 500 })
      ).events
    }
    expect(acknowledged.filter((body) => !bodies.has(body))).toEqual([])
    const refused = sends
      .map((_, i) => `n${i}`)
      .filter((_, i) => {
        const answer = answers[i]
        return answer?.status === 'fulfilled' && !answer.value.ok
      })
    expect(refused.filter((body) => bodies.has(body))).toEqual([])
  } finally {
    await place.remove()
  }
})

test('[G10] while it stops it says that it is not ready, takes no socket, and ends in time although a client holds on', async () => {
  await using server = await startChild({ env: { DRAIN_MS: '1500' } })
  const { ana } = await makeWorld(server)
  expect((await server.rest('GET', '/ready')).status).toBe(200)
  // A poll that waits is nothing that must be waited for; a client that never answers a close neither.
  const poll = await openPoll(ana)
  const holding = await ana.connect()
  holding.websocket.pause()
  const startedAt = performance.now()
  server.process.kill('SIGTERM')
  await wait(30)
  const ready = await server.rest('GET', '/ready').catch(() => ({ status: 503, body: { ready: false } }))
  expect([ready.status, ready.body.ready]).toEqual([503, false])
  await expect(ana.connect()).rejects.toThrow()
  expect(await server.exited).toBe(0)
  expect(performance.now() - startedAt).toBeLessThan(15_000)
  await poll.ended(1_000)
})

test.each([
  ['SIGTERM', 'SIGTERM'],
  ['SIGTERM', 'SIGINT'],
  ['SIGINT', 'SIGINT'],
] as const)('[G10] %s and then an impatient %s: it still ends as it should', async (first, second) => {
  await using server = await startChild()
  const { ana } = await makeWorld(server)
  const socket = await ana.connect()
  server.process.kill(first)
  await socket.until(({ type }) => type === 'goodbye')
  server.process.kill(second)
  expect(await server.exited).toBe(0)
  expect(await socket.closed(1_000)).toBe(1012)
})
