import type { Event, Message } from '@parley/protocol'
import type { Door, Listening } from '../door.ts'
import { nameOf } from './names.ts'
import { isOver, readName, toNewMessage } from './translate.ts'

/** A socket's place in one conversation. `own` are messages it sent, which it must not hear again. */
export type Room = {
  conversationId: string
  name: string
  status: 'open' | 'assigned'
  isGreeted: boolean
  own: Set<string>
}

type Say = (event: string, data: Record<string, unknown>) => void

/** The rooms that one socket is in, and what it hears there. */
export class Rooms {
  listening: Listening | undefined
  readonly #door: Door
  readonly #say: Say
  readonly #rooms = new Map<string, Room>()

  constructor(door: Door, say: Say) {
    this.#door = door
    this.#say = say
  }

  get(conversationId: string): Room | undefined {
    return this.#rooms.get(conversationId)
  }

  /** Few rooms per socket: looking through them keeps the frames in order without asking the store. */
  named(text: string): Room | undefined {
    const name = readName(text)
    return [...this.#rooms.values()].find((room) => room.name === name)
  }

  /** Coming in a second time changes nothing but what the greeting says. */
  enter(conversationId: string, name: string, status: Room['status']): Room {
    const room = this.#rooms.get(conversationId) ?? { conversationId, name, own: new Set<string>() }
    const entered = Object.assign(room, { status, isGreeted: false })
    this.#rooms.set(conversationId, entered)
    return entered
  }

  /** Said once, and before anything that is heard in the room. */
  greet(room: Room): void {
    if (room.isGreeted || !this.#isIn(room)) return
    room.isGreeted = true
    this.#say('JOINED_CONVERSATION', { conversationId: room.name, status: room.status })
  }

  /** Leaving, and being made to leave. */
  putOut(room: Room): void {
    this.forget(room.conversationId)
    this.#say('LEFT_CONVERSATION', { conversationId: room.name })
  }

  /** The conversation is over. */
  empty(room: Room): void {
    this.forget(room.conversationId)
    this.#say('CONVERSATION_CLOSED', { conversationId: room.name })
  }

  /** Who has another role now is in no room by the rights of the old one. */
  leaveAll(): void {
    for (const room of [...this.#rooms.values()]) this.putOut(room)
  }

  forget(conversationId: string): void {
    this.#rooms.delete(conversationId)
    this.listening?.unfollow(conversationId)
  }

  clear(): void {
    this.#rooms.clear()
  }

  async hear(event: Event): Promise<void> {
    const room = 'conversationId' in event && this.#rooms.get(event.conversationId)
    if (!room) return
    this.greet(room)
    switch (event.type) {
      case 'message.created':
        return this.#tell(room, event.message)
      case 'conversation.updated': {
        const { status, assigneeId } = event.changes
        if (status && isOver(status)) return this.empty(room)
        if (assigneeId !== undefined && this.#isReplacedBy(assigneeId)) this.putOut(room)
        return
      }
      case 'participant.left':
        if (event.userId === this.listening?.actor.userId) this.putOut(room)
        return
      case 'conversation.deleted':
        return this.empty(room)
      case 'conversation.lost':
        return this.putOut(room)
    }
  }

  async #tell(room: Room, message: Message): Promise<void> {
    if (message.visibility !== 'everyone' || message.retractedAt) return
    const { senderId, clientMessageId } = message
    const isMine = senderId === this.listening?.actor.userId
    if (isMine && clientMessageId !== null && room.own.delete(clientMessageId)) return
    const sender = senderId && (await nameOf(this.#door, 'person', senderId))
    if (this.#isIn(room)) this.#say('NEW_MESSAGE', toNewMessage(message, room.name, sender))
  }

  #isReplacedBy(assigneeId: string | null): boolean {
    const actor = this.listening?.actor
    return actor?.role === 'agent' && assigneeId !== actor.userId
  }

  #isIn(room: Room): boolean {
    return this.#rooms.get(room.conversationId) === room
  }
}
