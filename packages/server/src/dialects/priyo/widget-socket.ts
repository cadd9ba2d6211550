import type { Event } from '@parley/protocol'
import type { Socket } from 'socket.io'
import type { Actor } from '../../chat/actor.ts'
import { notFound } from '../../chat/failure.ts'
import { setTyping } from '../../chat/typing.ts'
import type { Listening } from '../door.ts'
import { Asking, accessDenied, conversationIn, fieldsOf, notSent, silence } from './asking.ts'
import { check, forms } from './forms.ts'
import { idOf } from './ids.ts'
import type { Priyo } from './priyo.ts'
import { isShown, newMessage } from './translate.ts'
import { Typists } from './typists.ts'
import { visitorBehind, writeAsVisitor } from './visitors.ts'

type WidgetRoom = { visitor: Actor; listening: Listening; typists: Typists }

/**
 * The socket of a widget. It says nothing of its own about who is there, so it stands for nobody until it names a
 * visitor's conversation by the name that only that visitor was given; then it is that visitor, there and nowhere else.
 */
export class WidgetSocket {
  readonly #priyo: Priyo
  readonly #socket: Socket
  readonly #caller: { address: string | null; origin: string | null }
  readonly #rooms = new Map<string, WidgetRoom>()
  #moving: Promise<unknown> = Promise.resolve()

  constructor(priyo: Priyo, socket: Socket) {
    this.#priyo = priyo
    this.#socket = socket
    const { origin } = socket.handshake.headers
    this.#caller = { address: socket.handshake.address, origin: origin ?? null }
  }

  open(): void {
    const asking = new Asking(this.#socket)
    this.#socket.on('disconnect', () => this.#inTurn(() => this.#close()))
    asking.on('conversation:join', accessDenied, (name) =>
      this.#inTurn(() => this.#join(conversationIn(name))),
    )
    asking.on('conversation:leave', silence, (name) => this.#inTurn(() => this.#leave(conversationIn(name))))
    asking.on('message:send', notSent, (payload) => this.#send(payload))
    asking.on('typing:start', silence, (payload) => this.#type(conversationIn(payload), true))
    asking.on('typing:stop', silence, (payload) => this.#type(conversationIn(payload), false))
    asking.on('user-typing', silence, (payload) =>
      this.#type(conversationIn(payload), fieldsOf(payload).isTyping === true),
    )
    asking.on('message:read', accessDenied, async () => {
      throw notFound()
    })
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#moving.then(work)
    this.#moving = turn.catch(() => {})
    return turn
  }

  async #join(name: unknown): Promise<void> {
    const conversationId = this.#priyo.widgetNames.uuidOf(name)
    if (!conversationId || this.#rooms.size >= 20) throw notFound()
    if (this.#rooms.has(conversationId)) return
    const visitor = await visitorBehind(this.#priyo, this.#caller, conversationId)
    const listening = await this.#priyo.door.listen(
      {
        actor: visitor,
        hear: (event) => this.#hear(conversationId, String(name), event),
        reauthenticate: () => visitorBehind(this.#priyo, this.#caller, conversationId),
        ended: () => this.#drop(conversationId),
      },
      { feed: false },
    )
    const tell = (userId: string, typing: boolean) => this.#tellTyping(String(name), userId, typing)
    const typists = new Typists(visitor.userId, tell)
    this.#rooms.set(conversationId, { visitor, listening, typists })
    await listening.follow(conversationId)
    if (this.#socket.disconnected) this.#drop(conversationId)
  }

  async #leave(name: unknown): Promise<void> {
    const conversationId = this.#priyo.widgetNames.uuidOf(name)
    if (conversationId) this.#drop(conversationId)
  }

  #drop(conversationId: string): void {
    const room = this.#rooms.get(conversationId)
    this.#rooms.delete(conversationId)
    room?.typists.close()
    room?.listening.end()
  }

  async #close(): Promise<void> {
    for (const conversationId of [...this.#rooms.keys()]) this.#drop(conversationId)
  }

  async #roomOf(name: unknown): Promise<WidgetRoom> {
    await this.#moving
    const room = this.#rooms.get(this.#priyo.widgetNames.uuidOf(name) ?? '')
    if (!room) throw notFound()
    return room
  }

  async #send(payload: unknown): Promise<void> {
    const { conversationId, content } = check(forms.socketMessage, payload)
    const { visitor } = await this.#roomOf(conversationId)
    await writeAsVisitor(this.#priyo, visitor, conversationId, String(content))
  }

  async #type(name: unknown, typing: boolean): Promise<void> {
    const { visitor, typists } = await this.#roomOf(name)
    const conversationId = this.#priyo.widgetNames.uuidOf(name) ?? ''
    await typists.say(typing, () => setTyping(this.#priyo.chat, visitor, { conversationId, typing }))
  }

  async #hear(conversationId: string, name: string, event: Event): Promise<void> {
    const room = this.#rooms.get(conversationId)
    if (!room) return
    switch (event.type) {
      case 'message.created': {
        const { message } = event
        if (!isShown(message)) return
        const faceOf = await this.#priyo.faces.of([message.senderId])
        this.#socket.emit(
          'new-message',
          newMessage(message, faceOf(message.senderId), room.visitor.userId, name),
        )
        if (message.senderId !== room.visitor.userId) {
          this.#priyo.arrivals.note({ conversationId, userId: room.visitor.userId, seq: message.seq })
        }
        return
      }
      case 'typing.changed':
        return room.typists.hear(event.userId, event.typing)
      case 'conversation.updated':
        if (event.changes.status === 'closed' || event.changes.status === 'archived')
          this.#drop(conversationId)
        return
      case 'conversation.deleted':
      case 'conversation.lost':
        return this.#drop(conversationId)
    }
  }

  async #tellTyping(name: string, userId: string, typing: boolean): Promise<void> {
    const faceOf = await this.#priyo.faces.of([userId])
    this.#socket.emit(typing ? 'typing:start' : 'typing:stop', {
      conversationId: name,
      userId: idOf(userId),
      username: faceOf(userId).username,
    })
  }
}
