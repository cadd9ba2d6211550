import { type CloseReason, type ControlFrame, limits } from '@parley/protocol'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Actor } from '../chat/actor.ts'
import { Failure } from '../chat/failure.ts'
import type { Parley } from '../parley.ts'
import { refuseUnkeepable } from '../validation.ts'
import { callerOf } from './caller.ts'
import { Connection, type Wire } from './connection.ts'

/**
 * The same connection for networks that block WebSocket: Server-Sent Events with commands by POST, and long polling
 * for those that buffer streams too. Hello is the body of the first request, so the token is never in a URL.
 */
export function streamRoutes(
  app: FastifyInstance,
  parley: Parley,
  authenticate: (request: FastifyRequest) => Promise<Actor>,
): void {
  const byId = new Map<string, { connection: Connection; poll: Mailbox | null }>()

  const bodyLimit = limits.frameBytes

  app.post('/api/v1/realtime/sse', { bodyLimit }, async (request, reply) => {
    refuseWhileDraining()
    const hello = frameOf(request.body)
    const caller = callerOf(request.raw, parley.chat.config.proxies)
    const wire = sseWire(reply)
    const connection = new Connection(parley, wire, caller)
    byId.set(connection.id, { connection, poll: null })
    reply.raw.on('close', () => {
      byId.delete(connection.id)
      connection.closed()
    })
    connection.receive(hello)
  })

  app.post('/api/v1/realtime/poll', { bodyLimit }, async (request) => {
    refuseWhileDraining()
    const hello = frameOf(request.body)
    const mailbox = new Mailbox()
    const connection = new Connection(parley, mailbox.wire, callerOf(request.raw, parley.chat.config.proxies))
    byId.set(connection.id, { connection, poll: mailbox })
    mailbox.onEnd = () => {
      byId.delete(connection.id)
      connection.closed()
    }
    connection.receive(hello)
    return { connectionId: connection.id, frames: await mailbox.collect(limits.pollMs) }
  })

  app.post<{ Params: { connectionId: string }; Body: { frames?: unknown } }>(
    '/api/v1/realtime/poll/:connectionId',
    async (request) => {
      const { connection, poll } = await own(request)
      if (!poll) throw new Failure('not_found')
      const frames = request.body?.frames ?? []
      if (!Array.isArray(frames) || frames.length > limits.commandsInFlight) {
        throw new Failure('invalid_request', { field: 'frames', message: 'A list of command frames' })
      }
      for (const frame of frames.map(frameOf)) connection.receive(frame)
      connection.touch()
      return { frames: await poll.collect(limits.pollMs) }
    },
  )

  app.post<{ Params: { connectionId: string } }>(
    '/api/v1/realtime/connections/:connectionId',
    { bodyLimit },
    async (request, reply) => {
      const { connection } = await own(request)
      connection.receive(frameOf(request.body))
      return reply.code(202).send({})
    },
  )

  /** One that began after the others were told to leave would not be told, and be cut. */
  function refuseWhileDraining(): void {
    if (parley.isDraining) throw new Failure('overloaded', { notApplied: true, retryAfter: 1 })
  }

  /** A connection belongs to the session that opened it; for everybody else there is none. */
  async function own(request: FastifyRequest<{ Params: { connectionId: string } }>) {
    const actor = await authenticate(request)
    const found = byId.get(request.params.connectionId)
    const isThere = found?.connection.isLive || found?.poll?.holdsFrames
    if (!found || !isThere || !found.connection.belongsTo(actor)) throw new Failure('not_found')
    return found
  }
}

/** A frame that came as JSON, as text again. What breaks the byte rules is refused before it is a frame. */
function frameOf(body: unknown): string {
  refuseUnkeepable(body)
  const text = JSON.stringify(body ?? null)
  if (Buffer.byteLength(text) > limits.frameBytes)
    throw new Failure('too_large', { limit: limits.frameBytes })
  return text
}

/** Where there is no close code, a last frame tells why (SPEC C4). */
const lastFrame = (reason: CloseReason) => JSON.stringify({ type: 'close', reason } satisfies ControlFrame)

function sseWire(reply: FastifyReply): Wire {
  reply.hijack()
  const { raw } = reply
  raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-store',
    // Proxies that collect a page before passing it on would hold every event back.
    'X-Accel-Buffering': 'no',
  })
  raw.flushHeaders()
  const end = (reason: CloseReason) => {
    raw.end(`data: ${lastFrame(reason)}\n\n`)
  }
  return {
    send: (data) => {
      raw.write('data: ')
      raw.write(data)
      raw.write('\n\n')
    },
    queued: () => raw.writableLength,
    close: end,
    terminate: () => raw.destroy(),
  }
}

/** Frames that wait for the next poll, and the poll that waits for frames. */
class Mailbox {
  #frames: string[] = []
  #bytes = 0
  #wake: (() => void) | undefined
  #ended = false
  #abandoned: NodeJS.Timeout | undefined
  onEnd: () => void = () => {}

  /** The last words of a connection that has ended wait for the poll that is on its way. */
  get holdsFrames(): boolean {
    return this.#frames.length > 0
  }

  readonly wire: Wire = {
    send: (data) => {
      const text = data.toString()
      this.#frames.push(text)
      this.#bytes += text.length
      this.#wake?.()
    },
    queued: () => this.#bytes,
    close: (reason) => {
      this.wire.send(lastFrame(reason))
      this.#end()
    },
    terminate: () => {
      this.#frames = []
      this.#bytes = 0
      this.#end()
    },
  }

  /** Everything that waits, or the first frames that come within the time; an empty list when none do. */
  async collect(withinMs: number): Promise<unknown[]> {
    clearTimeout(this.#abandoned)
    this.#wake?.()
    if (this.#frames.length === 0 && !this.#ended) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, withinMs)
      const wake = () => {
        clearTimeout(timer)
        // One turn of the loop, so that frames of one moment travel together.
        setImmediate(resolve)
      }
      this.#wake = wake
      await promise
      // A later poll may wait by now; it must go on hearing.
      if (this.#wake === wake) this.#wake = undefined
    }
    const frames = this.#frames.map((frame) => JSON.parse(frame) as unknown)
    this.#frames = []
    this.#bytes = 0
    if (this.#ended) this.onEnd()
    else this.#abandoned = setTimeout(() => this.onEnd(), limits.deadPeerMs)
    this.#abandoned?.unref()
    return frames
  }

  #end(): void {
    this.#ended = true
    this.#wake?.()
    // Whatever is left may still be collected by a poll that is on its way.
    this.#abandoned = setTimeout(() => this.onEnd(), 5_000)
    this.#abandoned.unref()
  }
}
