import type { ServerFrame } from '@parley/protocol'
import { lostByCode, lostByError, once, type Transport } from './transport.ts'

/** One socket, one JSON text per frame. The token is in the first frame. */
export const websocket: Transport = (hello, wire, tell) => {
  const told = once(tell)
  const waiting: unknown[] = [hello]
  let socket: WebSocket
  try {
    const url = new URL(wire.http.url('/realtime'), globalThis.location?.href)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    // Where there is none, this fails like any other refusal.
    socket = new (wire.WebSocket as typeof WebSocket)(url)
  } catch (error) {
    queueMicrotask(() => told.lost(lostByError(error)))
    return { send() {}, close: told.end }
  }
  socket.onopen = () => {
    for (const frame of waiting) socket.send(JSON.stringify(frame))
  }
  socket.onmessage = ({ data }) => {
    told.heard()
    let frame: ServerFrame
    try {
      frame = JSON.parse(data as string)
    } catch {
      return told.lost(lostByCode(0))
    }
    told.frame(frame)
  }
  socket.onclose = ({ code, reason }) => told.lost(lostByCode(code, reason))
  return {
    send(frame) {
      // What is given to a socket that has closed is dropped.
      if (socket.readyState) socket.send(JSON.stringify(frame))
      else waiting.push(frame)
    },
    close() {
      told.end()
      socket.close(1000)
    },
  }
}
