import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { closeCodes, limits } from '@parley/protocol'
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
  const wire: Wire = {
    send: (data) => {
      if (websocket.readyState !== websocket.OPEN) return
      gather(socket)
      socket.write(framed(data))
    },
    queued: () => websocket.bufferedAmount,
    close: (reason) => {
      websocket.close(closeCodes[reason].code, reason)
      // A peer that does not answer the close would stay half open for half a minute.
      setTimeout(() => websocket.terminate(), 2_000).unref()
    },
    terminate: () => websocket.terminate(),
  }
  const connection = new Connection(parley, wire, callerOf(request, parley.chat.config.trustProxy))
  websocket.on('message', (data, isBinary) => {
    if (isBinary) connection.close('protocol_error')
    else connection.receive(data.toString())
  })
  websocket.on('error', () => websocket.terminate())
  websocket.on('close', () => connection.closed())
}

let lastShared: { payload: Buffer; frame: Buffer } | undefined

/**
 * A text frame, ready to be written. An event goes to its listeners one after the other as the same buffer, and is
 * framed once for all of them; `ws` would make a header for each and write it as a chunk of its own (a broadcast to
 * 1,000 took a third more). We neither compress nor send in fragments, so nothing of `ws` can come between.
 */
function framed(data: Buffer | string): Buffer {
  if (typeof data === 'string') return frameOf(Buffer.from(data))
  if (lastShared?.payload !== data) lastShared = { payload: data, frame: frameOf(data) }
  return lastShared.frame
}

/** RFC 6455 §5.2, as a server sends it: final, text, not masked. */
function frameOf(payload: Buffer): Buffer {
  const { length } = payload
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafe(head + length)
  frame[0] = 0x81
  if (head === 2) frame[1] = length
  else if (head === 4) {
    frame[1] = 126
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = 127
    frame.writeBigUInt64BE(BigInt(length), 2)
  }
  payload.copy(frame, head)
  return frame
}

/** Frames of one turn of the loop leave in one write: the reply to a send and the entry it made, above all. */
function gather(socket: Duplex): void {
  if (socket.writableCorked > 0) return
  socket.cork()
  process.nextTick(() => socket.uncork())
}
