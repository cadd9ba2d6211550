import type { Chat } from '../../chat/chat.ts'

/** One socket in a conversation: whose it is, and how to tell it something. */
export type Seat = { userId: string; tell(frame: object): void }

/**
 * The sockets of one conversation on this node. People come with their first socket and go with their last, whatever
 * mount they came through.
 */
export class Room {
  readonly #seats = new Set<Seat>()
  #told = ''

  /** Takes a seat; true for the first of this person. */
  enter(seat: Seat): boolean {
    const isFirst = !this.#holds(seat.userId)
    this.#seats.add(seat)
    return isFirst
  }

  /** Gives it up; true for the last of this person. */
  leave(seat: Seat): boolean {
    return this.#seats.delete(seat) && !this.#holds(seat.userId)
  }

  tellOthers(seat: Seat, frame: object): void {
    for (const other of this.#seats) if (other !== seat) other.tell(frame)
  }

  get isEmpty(): boolean {
    return this.#seats.size === 0
  }

  /** Remembers what was last told of who takes part; true when it is news. */
  isNews(participants: unknown): boolean {
    const said = JSON.stringify(participants)
    if (said === this.#told) return false
    this.#told = said
    return true
  }

  #holds(userId: string): boolean {
    return this.#seats.values().some((seat) => seat.userId === userId)
  }
}

const roomsOf = new WeakMap<Chat, Map<string, Room>>()

/** The room of a conversation, made for whoever comes first. */
export function roomOf(chat: Chat, conversationId: string): Room {
  const rooms = roomsOf.get(chat) ?? new Map<string, Room>()
  roomsOf.set(chat, rooms)
  const room = rooms.get(conversationId) ?? new Room()
  rooms.set(conversationId, room)
  return room
}

export function forgetIfEmpty(chat: Chat, conversationId: string): void {
  const rooms = roomsOf.get(chat)
  if (rooms?.get(conversationId)?.isEmpty) rooms.delete(conversationId)
}
