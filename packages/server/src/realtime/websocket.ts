import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type CloseReason, closeCodes, limits } from '@parley/protocol'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Parley } from '../parley.ts'
import { callerOf } from './caller.ts'
import { Connection, type Wire } from './connection.ts'
import { pathOf, type UpgradeDoor } from './upgrades.ts'

export const realtimePath = '/api/v1/realtime'

/**
 * Our protocol over WebSocket. The token comes in the first frame, so an upgrade itself needs no right; a frame that
 * breaks the WebSocket protocol ends its own connection and nothing else. Paths that are not ours are left to others.
 */
export function webSocketDoor(parley: Parley): UpgradeDoor {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: limits.frameBytes,
    perMessageDeflate: false,
  })
  return (request, socket, head) => {
    if (pathOf(request).replace(/\/$/, '') !== realtimePath) return false
    if (parley.isDraining) {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\r\n')
      return true
    }
    sockets.handleUpgrade(request, socket, head, (websocket) => open(parley, websocket, socket, request))
    return true
  }
}

function open(parley: Parley, websocket: WebSocket, socket: Duplex, request: IncomingMessage): void {
  const wire = new WebSocketWire(websocket, socket)
  const connection = new Connection(parley, wire, callerOf(request, parley.chat.config.proxies))
  websocket.on('message', (data, isBinary) => {
    if (isBinary) connection.close('protocol_error')
    else connection.receive(data.toString())
  })
  websocket.on('error', terminateSelf)
  websocket.on('close', () => connection.closed())
}

function terminateSelf(this: WebSocket): void {
  this.terminate()
}

/** A class, since ten thousand may be open: an object with functions of its own would be four times as large. */
class WebSocketWire implements Wire {
  readonly #websocket: WebSocket
  readonly #outbox: Outbox

  constructor(websocket: WebSocket, socket: Duplex) {
    this.#websocket = websocket
    this.#outbox = new Outbox(socket)
  }

  send(data: Buffer | string): void {
    if (this.#websocket.readyState === this.#websocket.OPEN) this.#outbox.add(data)
  }

  queued(): number {
    return this.#outbox.waiting + this.#websocket.bufferedAmount
  }

  close(reason: CloseReason): void {
    this.#outbox.flush()
    this.#websocket.close(closeCodes[reason].code, reason)
    // A peer that does not answer the close would stay half open for half a minute.
    setTimeout(() => this.terminate(), 2_000).unref()
  }

  terminate(): void {
    this.#websocket.terminate()
  }
}

/** Shared by all who have nothing to say: most connections, most of the time. Never pushed to. */
const nothing: Buffer[] = []
let unflushed: Outbox[] = []
let lastAdded: Buffer | undefined

/** One event to many leaves in parts of so many: the first ones read it while the last ones are still being told. */
const someListeners = 64

/**
 * What one socket is told in one turn of the loop leaves in one write: the reply to a send and the entry it made, above
 * all. We neither compress nor send in fragments, so frames can be made here, where `ws` would write the header of each
 * as a chunk of its own (a broadcast to 1,000 took a third more).
 */
class Outbox {
  readonly #socket: Duplex
  #payloads: Buffer[] = nothing
  /** Bytes that were not given to the socket yet. */
  waiting = 0

  constructor(socket: Duplex) {
    this.#socket = socket
  }

  add(data: Buffer | string): void {
    const payload = typeof data === 'string' ? Buffer.from(data) : data
    this.waiting += payload.length
    if (this.#payloads.length > 0) {
      this.#payloads.push(payload)
      return
    }
    this.#payloads = [payload]
    if (unflushed.push(this) === 1) process.nextTick(flushAll)
    else if (unflushed.length % someListeners === 0 && payload === lastAdded) flushAll()
    lastAdded = payload
  }

  flush(): void {
    const [first, ...others] = this.#payloads
    if (!first) return
    this.#payloads = nothing
    this.waiting = 0
    this.#socket.write(others.length > 0 ? framesOf([first, ...others]) : sharedFrameOf(first))
  }
}

function flushAll(): void {
  const outboxes = unflushed
  unflushed = []
  for (const outbox of outboxes) outbox.flush()
}

let lastShared: { payload: Buffer; frame: Buffer } | undefined

/** An event goes to its listeners one after the other as the same buffer, and is framed once for all of them. */
function sharedFrameOf(payload: Buffer): Buffer {
  if (lastShared?.payload !== payload) lastShared = { payload, frame: framesOf([payload]) }
  return lastShared.frame
}

/** Text frames in a row, as a server sends them: final, not masked (RFC 6455 §5.2). */
function framesOf(payloads: readonly Buffer[]): Buffer {
  const frames = Buffer.allocUnsafe(payloads.reduce((sum, { length }) => sum + headOf(length) + length, 0))
  let at = 0
  for (const payload of payloads) {
    const { length } = payload
    const head = headOf(length)
    frames[at] = 0x81
    if (head === 2) frames[at + 1] = length
    else if (head === 4) {
      frames[at + 1] = 126
      frames.writeUInt16BE(length, at + 2)
    } else {
      frames[at + 1] = 127
      frames.writeBigUInt64BE(BigInt(length), at + 2)
    }
    payload.copy(frames, at + head)
    at += head + length
  }
  return frames
}

const headOf = (length: number) => (length < 126 ? 2 : length < 65_536 ? 4 : 10)
