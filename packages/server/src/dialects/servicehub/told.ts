import type { Event } from '@parley/protocol'
import type { Door } from '../door.ts'
import { names } from './names.ts'
import { type People, peopleAt } from './people.ts'
import { nobodyYet, tellMessage, turnedBy, withSender } from './reading.ts'
import { roleOf } from './translate.ts'

/** What an event of the core is for this dialect's sockets, in order: most are one frame, some none. */
export type Told = readonly Frame[]
export type Frame = { type: string } & Record<string, unknown>

export const created: Frame = {
  type: 'REFRESH_CHATS',
  message: 'A new chat has been created. Please refresh.',
}
export const deleted: Frame = {
  type: 'REFRESH_CHATS',
  message: 'A chat has been deleted. Please refresh.',
}

/** Translates each event once, however many sockets hear it. Presence is for each socket to tell by itself. */
export class Translator {
  readonly #door: Door
  readonly #people: People
  readonly #told = new WeakMap<Event, Promise<Told>>()

  constructor(door: Door) {
    this.#door = door
    this.#people = peopleAt(door)
  }

  of(event: Event): Promise<Told> {
    const told = this.#told.get(event) ?? this.#translate(event)
    this.#told.set(event, told)
    return told
  }

  async #translate(event: Event): Promise<Told> {
    switch (event.type) {
      case 'message.created':
        return event.message.visibility === 'everyone' ? [await this.#message(event)] : []
      case 'receipt.moved': {
        const turned = await turnedBy(this.#door, event)
        if (!turned) return []
        const type = `UPDATED_READ_STATUS_OF_${turned.side === 'contact' ? 'CUSTOMER' : 'AGENTS'}`
        return turned.messages.map((message) => ({ type, message }))
      }
      case 'typing.changed':
        return [await this.#typing(event)]
      case 'conversation.created':
        return [created]
      case 'conversation.deleted':
        return [deleted]
      default:
        return []
    }
  }

  async #message({ message }: Extract<Event, { type: 'message.created' }>): Promise<Frame> {
    const role = roleOf(message.senderRole)
    const told = await tellMessage(this.#door, message, nobodyYet)
    const sender = message.senderId ? { ...(await this.#people.one(message.senderId)), role } : null
    return { type: `NEW_MESSAGE_BY_${role}`, message: withSender(told, sender) }
  }

  async #typing(event: Extract<Event, { type: 'typing.changed' }>): Promise<Frame> {
    const conversationId = await names.of(this.#door, 'conversation', event.conversationId)
    const { id, username } = await this.#people.one(event.userId)
    return {
      type: 'TYPING',
      message: { conversationId, userId: id, username, isTyping: event.typing },
    }
  }
}

const byDoor = new WeakMap<Door, Translator>()

export function translatorAt(door: Door): Translator {
  const translator = byDoor.get(door) ?? new Translator(door)
  byDoor.set(door, translator)
  return translator
}
