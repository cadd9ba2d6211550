import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'

/**
 * The baseline: a bare WebSocket relay. Whoever connects to a path is in that room, and every frame goes to everybody
 * in the room as it came, its sender included. It knows nobody, looks at nothing and keeps nothing.
 */
const rooms = new Map<string, Set<WebSocket>>()

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false }, () => {
  const { port } = server.address() as AddressInfo
  console.log(`The relay is at http://127.0.0.1:${port}`)
})

server.on('connection', (socket, { url = '' }) => {
  const room = rooms.get(url) ?? new Set()
  rooms.set(url, room.add(socket))
  socket.on('message', (data) => {
    for (const peer of room) peer.send(data, { binary: false })
  })
  socket.on('error', () => socket.terminate())
  socket.on('close', () => {
    room.delete(socket)
    if (room.size === 0) rooms.delete(url)
  })
})

process.on('SIGTERM', () => process.exit())
