import type { ServerFrame } from '@parley/protocol'
import { expect, test } from 'vitest'
import { startServer } from '../src/testing.ts'

test('[T7] a stream brings one frame in the data of each event, and takes each frame by a request with the token', async () => {
  await using server = await startServer()
  const ana = await server.person('contact', 'ana')
  const { conversation } = await ana.call('conversation.create', { kind: 'support' })
  const ending = new AbortController()
  const answer = await fetch(`${server.url}/api/v1/realtime/sse`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'hello', token: ana.token }),
    signal: ending.signal,
  })
  expect([answer.status, answer.headers.get('content-type')]).toEqual([
    200,
    'text/event-stream; charset=utf-8',
  ])
  const events: string[] = []
  const reading = (async () => {
    let text = ''
    for await (const piece of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const whole = `${text}${piece}`.split('\n\n')
      text = whole.pop() ?? ''
      events.push(...whole)
    }
  })()
  const frames = () => events.map((event): ServerFrame => JSON.parse(event.replace(/^data: /, '')))
  const found = async <T extends ServerFrame['type']>(type: T) => {
    await expect.poll(() => frames().some((frame) => frame.type === type), { timeout: 10_000 }).toBe(true)
    return frames().find((frame): frame is Extract<ServerFrame, { type: T }> => frame.type === type)
  }

  const path = `/api/v1/realtime/connections/${(await found('welcome'))?.connectionId}`
  const post = (body: object, token: string | null = ana.token) => server.rest('POST', path, { token, body })
  const body = 'two\n\nlines,\r\ndata: and what looks like an event'
  const send = { type: 'message.send', id: 7, conversationId: conversation.id, clientMessageId: 'c', body }
  expect((await post({ type: 'heartbeat', received: 0 })).status).toBe(202)
  expect((await post(send)).status).toBe(202)
  expect(await found('reply')).toMatchObject({ id: 7, ok: true, result: { body } })
  expect(await found('message.created')).toMatchObject({ message: { body } })
  for (const event of events) expect(event).toMatch(/^data: \{[^\n\r]*\}$/)

  const before = events.length
  const again = { ...send, id: 8, clientMessageId: 'd' }
  expect((await post(again, null)).status).toBe(401)
  expect((await server.rest('POST', `${path}?token=${ana.token}`, { body: again })).status).toBe(401)
  expect((await post(again, (await server.person('contact', 'eve')).token)).status).toBe(404)
  await post({ type: 'unread.get', id: 9 })
  await expect.poll(() => frames().some((frame) => frame.type === 'reply' && frame.id === 9)).toBe(true)
  expect(frames().slice(before)).toMatchObject([{ type: 'reply', id: 9 }])
  ending.abort()
  await reading.catch(() => {})
})
