import type { Message, Presence } from '@parley/protocol'
import type { Socket } from 'socket.io'
import { idOf } from './ids.ts'
import type { Priyo } from './priyo.ts'
import type { Reading } from './readings.ts'
import { isOnline, lastSeenOf, messageNew } from './translate.ts'

/** Says to a member's socket what happens, in the events of this dialect. */
export class MemberVoice {
  readonly #priyo: Priyo
  readonly #socket: Socket
  /** Whom the socket knows to be online, and whom not. */
  readonly #online = new Map<string, boolean>()

  constructor(priyo: Priyo, socket: Socket) {
    this.#priyo = priyo
    this.#socket = socket
  }

  async message(message: Message): Promise<void> {
    const faceOf = await this.#priyo.faces.of([message.senderId])
    this.#socket.emit('message:new', messageNew(message, faceOf(message.senderId), this.#priyo.urlOf))
  }

  delivered(conversationId: string, messageId: string, reached: readonly string[]): void {
    this.#socket.emit('message:delivered', {
      messageId: idOf(messageId),
      conversationId: idOf(conversationId),
      deliveredTo: reached.map(idOf),
    })
  }

  read(conversationId: string, userId: string, readings: readonly Reading[]): void {
    for (const { messageId, readAt } of readings) {
      this.#socket.emit('message:read', {
        messageId: idOf(messageId),
        conversationId: idOf(conversationId),
        readBy: idOf(userId),
        readAt,
      })
    }
  }

  async typing(conversationId: string, userId: string, typing: boolean): Promise<void> {
    const faceOf = await this.#priyo.faces.of([userId])
    this.#socket.emit(typing ? 'typing:start' : 'typing:stop', {
      conversationId: idOf(conversationId),
      userId: idOf(userId),
      username: faceOf(userId).username,
    })
  }

  /** Said once, however many rooms are shared, and not again while it is the same. */
  async status(presence: Presence): Promise<void> {
    const { userId } = presence
    if (this.#online.get(userId) === isOnline(presence)) return
    this.#online.set(userId, isOnline(presence))
    const faceOf = await this.#priyo.faces.of([userId])
    this.#socket.emit('user:status', {
      userId: idOf(userId),
      isOnline: isOnline(presence),
      lastSeen:
        presence.lastSeenAt ??
        (isOnline(presence) ? new Date().toISOString() : lastSeenOf(presence, faceOf(userId).createdAt)),
    })
  }

  /** From now on these are the people whose changes are said; nothing is said of how they are now. */
  watch(presences: readonly Presence[]): void {
    const watched = new Set(presences.map(({ userId }) => userId))
    for (const userId of this.#online.keys()) if (!watched.has(userId)) this.#online.delete(userId)
    for (const presence of presences) {
      if (!this.#online.has(presence.userId)) this.#online.set(presence.userId, isOnline(presence))
    }
  }
}
