import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'

/**
 * The baseline: a bare WebSocket relay that says what the server says, and does nothing else. Whoever connects to a path
 * is in that room; a send is answered with a reply, and its entry goes to everybody in the room, the sender included,
 * in frames of the same form and length. It knows nobody, checks nothing and keeps nothing but the next number.
 */
type Room = { sockets: Set<WebSocket>; seq: number }
const rooms = new Map<string, Room>()

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false }, () => {
  const { port } = server.address() as AddressInfo
  console.log(`The relay is at http://127.0.0.1:${port}`)
})

server.on('connection', (socket, { url = '' }) => {
  const room = rooms.get(url) ?? { sockets: new Set(), seq: 0 }
  rooms.set(url, room)
  room.sockets.add(socket)
  const userId = randomUUID()
  socket.on('message', (data) => {
    const { id, conversationId, clientMessageId, body } = JSON.parse(data.toString())
    const seq = ++room.seq
    const at = new Date().toISOString()
    const message = {
      id: randomUUID(),
      conversationId,
      seq,
      senderId: userId,
      senderRole: 'contact',
      clientMessageId,
      kind: 'text',
      body,
      visibility: 'everyone',
      replyToId: null,
      metadata: {},
      attachments: [],
      reactions: [],
      createdAt: at,
      editedAt: null,
      retractedAt: null,
    }
    const entry = Buffer.from(
      JSON.stringify({ type: 'message.created', conversationId, seq, at, actorId: userId, message }),
    )
    for (const peer of room.sockets) peer.send(entry, { binary: false })
    socket.send(JSON.stringify({ type: 'reply', id, ok: true, result: message }))
  })
  socket.on('error', () => socket.terminate())
  socket.on('close', () => {
    room.sockets.delete(socket)
    if (room.sockets.size === 0) rooms.delete(url)
  })
})

process.on('SIGTERM', () => process.exit())
