import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { type Kept, Sketch } from './sketch.ts'

/**
 * The baselines. A bare WebSocket relay that says what the server says, and does nothing else: whoever connects to a path
 * is in that room; a send is answered with a reply, and its entry goes to everybody in the room, the sender included,
 * in frames of the same form and length. It knows nobody, checks nothing and keeps nothing but the next number. With a
 * `DATABASE_URL` it is the sketch instead, which keeps a message before it tells anybody.
 */
type Room = { sockets: Set<WebSocket>; seq: number; made: Promise<void> | undefined }
type Send = { id: number; conversationId: string; clientMessageId: string; body: string }

const rooms = new Map<string, Room>()
const { DATABASE_URL } = process.env
const sketch = DATABASE_URL ? await Sketch.open(DATABASE_URL) : undefined

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false }, () => {
  const { port } = server.address() as AddressInfo
  console.log(`The relay is at http://127.0.0.1:${port}`)
})

server.on('connection', (socket, { url = '' }) => {
  const room = rooms.get(url) ?? { sockets: new Set(), seq: 0, made: sketch?.make(url) }
  rooms.set(url, room)
  room.sockets.add(socket)
  const senderId = randomUUID()
  socket.on('message', (data) => {
    const send: Send = JSON.parse(data.toString())
    const messageId = randomUUID()
    if (sketch) keep(sketch, send, messageId)
    else tell(send, messageId, { seq: ++room.seq, at: new Date() })
  })
  socket.on('error', () => socket.terminate())
  socket.on('close', () => {
    room.sockets.delete(socket)
    if (room.sockets.size === 0) rooms.delete(url)
  })

  async function keep(sketch: Sketch, send: Send, messageId: string): Promise<void> {
    await room.made
    const { clientMessageId: key, body } = send
    tell(send, messageId, await sketch.append({ room: url, id: messageId, senderId, key, body }))
  }

  function tell(send: Send, messageId: string, { seq, at: instant }: Kept): void {
    const { id, conversationId, clientMessageId, body } = send
    const at = instant.toISOString()
    const message = {
      id: messageId,
      conversationId,
      seq,
      senderId,
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
      JSON.stringify({ type: 'message.created', conversationId, seq, at, actorId: senderId, message }),
    )
    for (const peer of room.sockets) peer.send(entry, { binary: false })
    socket.send(JSON.stringify({ type: 'reply', id, ok: true, result: message }))
  }
})

process.on('SIGTERM', () => process.exit())
