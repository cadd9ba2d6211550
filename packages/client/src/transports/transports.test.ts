import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Hello, ServerFrame } from '@parley/protocol'
import { closeCodes } from '@parley/protocol/errors'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import { http } from '../http.ts'
import { poll } from './poll.ts'
import { sse } from './sse.ts'
import { type Command, type Lost, lostByCode, type Transport } from './transport.ts'
import { websocket } from './websocket.ts'

/** One suite, three transports, a server that speaks each of them by the book. */

type Peer = { send(frame: object): void; end(code: number): void }

/** What the test sees of the far side, whatever the transport. */
class Far {
  hellos: { hello: Hello; url: string; authorization: string | undefined }[] = []
  commands: Command[] = []
  peer: Peer | null = null
  refuseHello: number | null = null
  refuseCommands: number | null = null
  base = ''
  #server = createServer((request, response) => void this.#http(request, response))
  #sockets = new WebSocketServer({ server: this.#server })
  #polls: { frames: object[]; waiting: ServerResponse | null } = { frames: [], waiting: null }

  async start() {
    this.#sockets.on('connection', (socket, request) => {
      const peer: Peer = {
        send: (frame) => socket.send(JSON.stringify(frame)),
        end: (code) => socket.close(code),
      }
      socket.on('message', (data) => {
        const frame = JSON.parse(String(data))
        if (frame.type !== 'hello') return this.#command(frame, (status) => this.#refuse(peer, frame, status))
        this.hellos.push({ hello: frame, url: request.url ?? '', authorization: undefined })
        if (this.refuseHello) return socket.close(this.refuseHello === 401 ? 4101 : 1011)
        this.#welcome(peer)
      })
    })
    this.#server.listen(0)
    await once(this.#server, 'listening')
    this.base = `http://localhost:${(this.#server.address() as AddressInfo).port}`
  }

  async stop() {
    for (const socket of this.#sockets.clients) socket.terminate()
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #welcome(peer: Peer) {
    this.peer = peer
    peer.send({
      type: 'welcome',
      connectionId: 'c1',
      userId: 'ana',
      cursor: 'x',
      heartbeatMs: 20_000,
      protocol: 1,
    })
  }

  #command(frame: Command, refuse: (status: number) => void) {
    if (this.refuseCommands) return refuse(this.refuseCommands)
    this.commands.push(frame)
  }

  #refuse(peer: Peer, frame: Command, _status: number) {
    peer.send({ type: 'reply', id: frame.id, ok: false, error: overloaded })
  }

  async #http(request: IncomingMessage, response: ServerResponse) {
    const body = JSON.parse((await text(request)) || '{}')
    const { url = '' } = request
    const json = (status: number, answer: object) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    }
    if (url.includes('/connections/')) {
      this.#command(body, (status) => json(status, { error: overloaded }))
      if (!response.headersSent) json(202, {})
      return
    }
    if (body.type === 'hello') {
      this.hellos.push({ hello: body, url, authorization: request.headers.authorization })
      if (this.refuseHello) {
        return json(this.refuseHello, { error: { code: 'unauthenticated', message: 'No.', retry: false } })
      }
    }
    if (url.endsWith('/sse')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      // In pieces, so that frames and characters are cut in the middle.
      const send = (frame: object) => {
        const bytes = Buffer.from(`event: frame\ndata: ${JSON.stringify(frame)}\n\n: alive\n\n`)
        response.write(bytes.subarray(0, 9))
        response.write(bytes.subarray(9))
      }
      return this.#welcome({ send, end: () => response.end() })
    }
    const flush = () => {
      const { waiting, frames } = this.#polls
      if (!waiting || !frames.length) return
      this.#polls.waiting = null
      waiting
        .writeHead(200, { 'content-type': 'application/json' })
        .end(
          JSON.stringify({ ...(body.type === 'hello' && { connectionId: 'c1' }), frames: frames.splice(0) }),
        )
    }
    this.#polls.waiting = response
    if (body.type !== 'hello') return flush()
    this.#polls.frames = []
    this.#welcome({
      send: (frame) => {
        this.#polls.frames.push(frame)
        flush()
      },
      end: () => void this.#polls.waiting?.writeHead(404).end('{}'),
    })
  }
}

const overloaded = { code: 'overloaded', message: 'Busy.', retry: true }
const transports: Record<string, Transport> = { websocket, sse, poll }

test('[C1] the range of a close code says what to do with one that is not known; any other code is a lost connection', () => {
  for (const { code, reconnect } of Object.values(closeCodes)) {
    expect(code === 1012 || (code >= 4000 && code < 4100), `${code}`).toBe(reconnect)
    expect(code === 1012 || (code >= 4000 && code < 4200), `${code}`).toBe(true)
  }
  const stops = (code: number) => !['lost', 'token_expired'].includes(lostByCode(code).reason)
  for (const code of [4000, 4050, 4099]) expect(stops(code), `${code}`).toBe(false)
  for (const code of [4100, 4150, 4199]) expect(stops(code), `${code}`).toBe(true)
  for (const code of [0, 1000, 1006, 1009, 1011, 1012, 3000, 4200, 4999])
    expect(stops(code), `${code}`).toBe(false)
  for (const { code, reconnect } of Object.values(closeCodes)) expect(stops(code), `${code}`).toBe(!reconnect)
})

for (const [name, transport] of Object.entries(transports)) {
  describe(`the ${name} transport`, () => {
    let far: Far
    beforeEach(async () => {
      far = new Far()
      await far.start()
    })
    afterEach(() => far.stop())

    function open() {
      const frames: ServerFrame[] = []
      const ends: Lost[] = []
      const hello: Hello = { type: 'hello', token: 'secret', cursor: 'x' }
      const link = transport(
        hello,
        { http: http({ baseUrl: far.base }), WebSocket },
        {
          frame: (frame) => void frames.push(frame),
          heard: () => {},
          lost: (lost) => void ends.push(lost),
        },
      )
      return { link, frames, ends }
    }
    const told = (seq: number) => ({ type: 'caughtup', conversationId: `ö${seq}`, seq })

    test('[T1] says hello first, with the token and never in the URL', async () => {
      const { link, frames } = open()
      await vi.waitFor(() => expect(frames).toHaveLength(1))
      expect(far.hellos[0]?.hello).toEqual({ type: 'hello', token: 'secret', cursor: 'x' })
      expect(far.hellos[0]?.url).not.toContain('secret')
      link.close()
    })

    test('[T2] frames arrive in order, each once', async () => {
      const { link, frames } = open()
      await vi.waitFor(() => expect(far.peer).toBeTruthy())
      for (let n = 0; n < 50; n++) {
        far.peer?.send(told(n))
        if (n % 10 === 0) await new Promise((done) => setTimeout(done, 3))
      }
      await vi.waitFor(() => expect(frames).toHaveLength(51))
      expect(frames.slice(1)).toEqual(Array.from({ length: 50 }, (_, n) => told(n)))
      link.close()
    })

    test('[T3] commands leave in the order given, those given too early as well', async () => {
      const { link } = open()
      for (let id = 1; id <= 10; id++) link.send({ id, type: 'unread.get' })
      await vi.waitFor(() => expect(far.commands).toHaveLength(10))
      expect(far.commands.map((one) => one.id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
      link.close()
    })

    test('[T4] a refused command is a failed reply, and the connection stays', async () => {
      far.refuseCommands = 503
      const { link, frames, ends } = open()
      link.send({ id: 7, type: 'unread.get' })
      await vi.waitFor(() => expect(frames).toHaveLength(2))
      expect(frames[1]).toMatchObject({
        type: 'reply',
        id: 7,
        ok: false,
        error: { code: 'overloaded', retry: true },
      })
      expect(ends).toEqual([])
      link.close()
    })

    test('[T5] the end is told once, and a refused token is named', async () => {
      far.refuseHello = 401
      const { ends } = open()
      await vi.waitFor(() => expect(ends).toHaveLength(1))
      expect(ends[0]?.reason).toBe('unauthenticated')
    })

    test('[T5] the reason of an end is told, by close code or by a last frame', async () => {
      const { ends, frames } = open()
      await vi.waitFor(() => expect(frames).toHaveLength(1))
      if (name === 'websocket') far.peer?.end(4102)
      else far.peer?.send({ type: 'close', reason: 'revoked' })
      await vi.waitFor(() => expect(ends.map((one) => one.reason)).toEqual(['revoked']))
      expect(frames).toHaveLength(1)
    })

    test('[T5] an end by the server is told once; after close nothing is told', async () => {
      const first = open()
      await vi.waitFor(() => expect(first.frames).toHaveLength(1))
      if (name === 'poll') await new Promise((done) => setTimeout(done, 20))
      far.peer?.end(1012)
      await vi.waitFor(() => expect(first.ends).toHaveLength(1))
      first.link.close()
      const second = open()
      await vi.waitFor(() => expect(second.frames).toHaveLength(1))
      second.link.close()
      try {
        far.peer?.send(told(1))
      } catch {}
      await new Promise((done) => setTimeout(done, 30))
      expect(second.frames).toHaveLength(1)
      expect(second.ends).toEqual([])
      expect(first.ends).toHaveLength(1)
    })

    test('[T5] a server that is not there is an end like any other', async () => {
      const base = far.base
      await far.stop()
      far = new Far()
      await far.start()
      const ends: Lost[] = []
      transport(
        { type: 'hello', token: 't' },
        { http: http({ baseUrl: base }), WebSocket },
        {
          frame: () => {},
          heard: () => {},
          lost: (lost) => void ends.push(lost),
        },
      )
      await vi.waitFor(() => expect(ends.map((one) => one.reason)).toEqual(['lost']))
    })
  })
}
