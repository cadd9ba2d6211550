import { limits } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { startServer, type TestServer, TestSocket } from '../src/testing.ts'
import { closeCodeIn, frameOf, RawSocket } from './raw-socket.ts'
import { digest, expectErrorShape, expectHealthy, makeWorld, type World } from './world.ts'

let server: TestServer
let world: World

beforeAll(async () => {
  server = await startServer()
  world = await makeWorld(server)
})
afterAll(() => server[Symbol.asyncDispose]())

/** The oracle of promises §4 for a group. */
function leavesNoTrace(): void {
  let before: string
  beforeAll(async () => {
    before = await digest(server)
  })
  afterAll(async () => {
    expect(await digest(server)).toBe(before)
    await expectHealthy(world)
  })
}

const hello = (more: object = {}) => JSON.stringify({ type: 'hello', token: world.ana.token, ...more })

/** A heartbeat may come at any moment. */
const typesHeard = ({ heard }: TestSocket) =>
  heard.map(({ type }) => type).filter((type) => type !== 'heartbeat')

/** A socket that is open and has said nothing. */
async function silent(): Promise<TestSocket> {
  const websocket = new WebSocket(`${server.url.replace(/^http/, 'ws')}/api/v1/realtime`)
  const socket = new TestSocket(websocket)
  await new Promise((resolve) => websocket.once('open', resolve))
  return socket
}

describe('frames of WebSocket (RFC 6455)', () => {
  leavesNoTrace()

  const violations: Record<string, [() => Buffer, number[]]> = {
    'not masked': [() => frameOf({ payload: hello(), mask: false }), [1002]],
    'a reserved bit': [() => frameOf({ first: 0xc1, payload: hello() }), [1002]],
    'a reserved opcode': [() => frameOf({ first: 0x83, payload: hello() }), [1002]],
    'a reserved control opcode': [() => frameOf({ first: 0x8b }), [1002]],
    'text that is not UTF-8': [() => frameOf({ payload: Buffer.from([0xc3, 0x28]) }), [1007]],
    'a surrogate in UTF-8': [() => frameOf({ payload: Buffer.from([0xed, 0xa0, 0x80]) }), [1007]],
    'an absurd length': [() => frameOf({ length: Buffer.from([127, 0, 0, 1, 0, 0, 0, 0, 0]) }), [1009]],
    'a length with the highest bit': [
      () => frameOf({ length: Buffer.from([127, 255, 255, 255, 255, 255, 255, 255, 255]) }),
      [1002, 1009],
    ],
    'one byte more than a frame may have': [
      () => frameOf({ payload: 'x'.repeat(limits.frameBytes + 1) }),
      [1009],
    ],
    'a ping of 126 bytes': [() => frameOf({ first: 0x89, payload: 'x'.repeat(126) }), [1002]],
    'a ping in pieces': [() => frameOf({ first: 0x09, payload: 'x' }), [1002]],
    'the end of nothing': [() => frameOf({ first: 0x80, payload: 'x' }), [1002]],
    'a close of one byte': [() => frameOf({ first: 0x88, payload: 'x' }), [1002]],
    'a close code that is none': [() => frameOf({ first: 0x88, payload: Buffer.from([0, 1]) }), [1002]],
    'a binary frame': [() => frameOf({ first: 0x82, payload: hello() }), [4100]],
    'pieces that are together too large': [
      () =>
        Buffer.concat([
          frameOf({ first: 0x01, payload: 'x'.repeat(limits.frameBytes / 2) }),
          frameOf({ first: 0x00, payload: 'x'.repeat(limits.frameBytes / 2) }),
          frameOf({ first: 0x80, payload: 'x' }),
        ]),
      [1009],
    ],
  }

  test.each(Object.entries(violations))(
    '[C3] %s: that connection is closed with its code',
    async (_what, [bytes, codes]) => {
      for (const before of [false, true]) {
        using raw = new RawSocket(server.url)
        await raw.upgrade()
        if (before) {
          raw.write(frameOf({ payload: hello() }))
          await raw.until((heard) => heard.includes('welcome'))
        }
        raw.write(bytes())
        await raw.closed()
        expect(codes).toContain(closeCodeIn(raw.heard))
      }
    },
  )

  test('a ping is answered with a pong, a message in pieces is one message', async () => {
    using raw = new RawSocket(server.url)
    await raw.upgrade()
    const text = hello()
    raw.write(frameOf({ first: 0x01, payload: text.slice(0, 10) }))
    raw.write(frameOf({ first: 0x89, payload: 'are you there' }))
    raw.write(frameOf({ first: 0x80, payload: text.slice(10) }))
    await raw.until((heard) => heard.includes('are you there') && heard.includes('welcome'))
  })

  test('an upgrade that is none, or to a place that is none, is refused and does not hang', async () => {
    const head = (path: string, more: string) =>
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n${more}\r\n`
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
    const attempts = {
      'an unknown path': head('/nothing', `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n${key}`),
      'an operation': head('/api/v1/me', `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n${key}`),
      'another protocol': head('/health', 'Upgrade: h2c\r\nHTTP2-Settings: x\r\n'),
      'another protocol, at our door': head('/api/v1/realtime', 'Upgrade: h2c\r\n'),
      'no key': head('/api/v1/realtime', 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'),
      'a bad key': head(
        '/api/v1/realtime',
        'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n',
      ),
      'an old version': head('/api/v1/realtime', `Upgrade: websocket\r\nSec-WebSocket-Version: 7\r\n${key}`),
    }
    for (const [what, text] of Object.entries(attempts)) {
      using raw = new RawSocket(server.url)
      raw.write(text)
      await raw.until((heard) => heard.includes('\r\n\r\n'), 2_000).catch(() => expect.fail(`${what} hangs`))
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(raw.heard.toString())?.[1])
      const expected = what === 'another protocol' ? [200] : [400, 401, 404, 426]
      expect({ what, status, ok: expected.includes(status) }).toMatchObject({ what, ok: true })
    }
  })
})

describe('frames of ours', () => {
  leavesNoTrace()

  const noHello: Record<string, () => string> = {
    'no JSON': () => 'hello',
    'half of it': () => hello().slice(0, -1),
    'no object': () => '[]',
    null: () => 'null',
    empty: () => '',
    'a command': () => '{"type":"unread.get","id":1}',
    'a heartbeat': () => '{"type":"heartbeat"}',
    'no token': () => '{"type":"hello"}',
    'an unknown field': () => hello({ role: 'owner' }),
    'a field of the prototype': () => `{"type":"hello","token":"x","__proto__":{"feed":true}}`,
    'a follow of another form': () => hello({ follow: [{ conversationId: 'x', after: 0 }] }),
    'a position below zero': () => hello({ follow: [{ conversationId: world.conversationId, after: -1 }] }),
    'too many follows': () =>
      hello({ follow: Array(201).fill({ conversationId: world.conversationId, after: 0 }) }),
    'a protocol of the future': () => hello({ protocol: 2 }),
    'deep JSON': () => `{"type":"hello","token":${'['.repeat(30_000)}${']'.repeat(30_000)}}`,
  }

  test.each(Object.entries(noHello))(
    '[T1] [T14] [C3] first frame: %s: closed with 4100, before any other word',
    async (_what, text) => {
      const socket = await silent()
      socket.write(text())
      expect(await socket.closed(2_000)).toBe(4100)
      expect(socket.heard).toEqual([])
    },
  )

  const noCommand: Record<string, unknown> = {
    'a second hello': () => hello(),
    'no type': { id: 1 },
    'a type that is no text': { type: 5, id: 1 },
    'no id': { type: 'unread.get' },
    'an id of text': { type: 'unread.get', id: '1' },
    'a fraction as id': { type: 'unread.get', id: 1.5 },
    'a negative id': { type: 'unread.get', id: -1 },
    'zero as id': { type: 'unread.get', id: 0 },
    'an id beyond counting': { type: 'unread.get', id: 2 ** 53 },
    'null as id': { type: 'unread.get', id: null },
    'a list': [{ type: 'unread.get', id: 1 }],
    'a heartbeat that counts below zero': { type: 'heartbeat', received: -1 },
    'a heartbeat with more': { type: 'heartbeat', id: 1 },
    'no JSON': () => '{"type":"unread.get","id":1',
  }

  test.each(Object.entries(noCommand))('[C3] later frame: %s: closed with 4100', async (_what, frame) => {
    const socket = await world.ana.connect()
    socket.write(typeof frame === 'function' ? frame() : frame)
    expect(await socket.closed(2_000)).toBe(4100)
    expect(typesHeard(socket)).toEqual(['welcome'])
  })

  test('[T4] what is only a wrong command gets a failed reply, and the connection goes on', async () => {
    const socket = await world.ana.connect()
    for (const [type, input, code] of [
      ['nothing', {}, 'unknown_operation'],
      ['me.get', {}, 'unknown_operation'],
      ['__proto__', {}, 'unknown_operation'],
      ['unread.get', { more: 1 }, 'invalid_request'],
      ['message.send', {}, 'invalid_request'],
      ['message.send', { conversationId: crypto.randomUUID(), clientMessageId: 'x', body: 'x' }, 'not_found'],
      ['conversation.follow', { conversationId: crypto.randomUUID(), after: 0 }, 'not_found'],
      ['conversation.take', { conversationId: world.conversationId }, 'forbidden'],
    ] as const) {
      const { ok, error } = await socket.command(type, input)
      expect({ type, ok, error }).toMatchObject({ type, ok: false, error: { code } })
      expectErrorShape(error)
    }
    expect(await socket.command('unread.get')).toMatchObject({ ok: true })
    socket.close()
  })

  test('[T4] a command that comes right after hello, before welcome, gets its reply after welcome', async () => {
    const socket = await silent()
    socket.write(hello())
    const replies = await Promise.all([socket.command('unread.get'), socket.command('unread.get')])
    expect(replies.map(({ ok }) => ok)).toEqual([true, true])
    expect(typesHeard(socket)).toEqual(['welcome', 'reply', 'reply'])
    socket.close()
  })

  test('[T9] [E6] somebody else’s connection id, and one that is none, are both `not_found`', async () => {
    const opened = await server.rest('POST', '/api/v1/realtime/poll', { body: JSON.parse(hello()) })
    const { connectionId } = opened.body
    for (const kind of ['connections', 'poll']) {
      const path = (id: string) => `/api/v1/realtime/${kind}/${id}`
      const options = { token: world.sam.token, body: { type: 'unread.get', id: 1 } }
      const answers = await Promise.all(
        [connectionId, crypto.randomUUID(), 'x', '__proto__'].map((id) =>
          server.rest('POST', path(id), options),
        ),
      )
      expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404])
      expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
      expect((await server.rest('POST', path(connectionId), { body: {} })).status).toBe(401)
    }
  })

  test('[C3] [C4] over a poll, a frame that breaks the protocol ends the connection, and the last frame says why', async () => {
    const opened = await server.rest('POST', '/api/v1/realtime/poll', { body: JSON.parse(hello()) })
    const path = `/api/v1/realtime/poll/${opened.body.connectionId}`
    const { token } = world.ana
    for (const frames of [{}, 'x', 5, null, Array(300).fill({})]) {
      const answer = await server.rest('POST', path, { token, body: { frames } })
      if (frames === null) continue
      expect([answer.status, answer.body.error?.code]).toEqual([400, 'invalid_request'])
    }
    const broken = await server.rest('POST', path, { token, body: { frames: [{ type: 'hello' }] } })
    expect(broken.body.frames).toEqual([{ type: 'close', reason: 'protocol_error' }])
    expect((await server.rest('POST', path, { token, body: {} })).status).toBe(404)
  })

  test('[C4] a hello that is refused ends a stream and a poll with its reason', async () => {
    const refusals = [
      [{ type: 'hello', token: 'nonsense' }, 'unauthenticated'],
      [{ type: 'hello' }, 'protocol_error'],
      [{ type: 'hello', token: world.ana.token, protocol: 2 }, 'protocol_error'],
    ] as const
    for (const [body, reason] of refusals) {
      const poll = await server.rest('POST', '/api/v1/realtime/poll', { body })
      expect(poll.body.frames).toEqual([{ type: 'close', reason }])
      const stream = await server.rest('POST', '/api/v1/realtime/sse', { body })
      expect(stream.body).toBe(`data: ${JSON.stringify({ type: 'close', reason })}\n\n`)
    }
  })
})

test('[T4] [T11] of 300 commands at once each gets one reply; what is over the limit was not applied', async () => {
  const { conversationId } = world
  const socket = await world.ana.connect()
  const send = (body: string) =>
    socket.command('message.send', { conversationId, clientMessageId: body, body })
  const bodies = Array.from({ length: 300 }, (_, i) => `one of many ${i}`)
  const replies = await Promise.all(bodies.map(send))
  expect(socket.heard.filter(({ type }) => type === 'reply')).toHaveLength(300)
  const refused = replies.filter(({ ok }) => !ok)
  expect(refused.length).toBeGreaterThan(0)
  expect(refused.length).toBeLessThanOrEqual(300 - limits.commandsInFlight)
  for (const { error } of refused) {
    expect(error).toMatchObject({ code: 'rate_limited', retry: true, notApplied: true })
  }
  const { events } = await world.ana.call('log.list', { conversationId, after: 0, limit: 500 })
  const stored = events.flatMap((event) => (event.type === 'message.created' ? event.message.body : []))
  expect(stored.filter((body) => bodies.includes(body))).toEqual(bodies.filter((_, i) => replies[i]?.ok))
  expect(await send('one more')).toMatchObject({ ok: true })
  socket.close()
})
