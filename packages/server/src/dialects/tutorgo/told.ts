import type { Event } from '@parley/protocol'
import type { Chat } from '../../chat/chat.ts'
import { writtenWithin } from '../../chat/history.ts'
import type { Ranges } from '../../chat/ranges.ts'
import type { Directory, Pair } from './directory.ts'
import { type MessageEvent, messageEvent } from './translate.ts'

/** What an event of the core is for both people of a conversation; who hears which part of it, each socket knows. */
export type Told =
  | {
      what: 'message'
      pair: Pair
      messageId: string
      senderId: string | null
      seq: number
      event: MessageEvent
    }
  | { what: 'change'; pair: Pair; name: string; payload: Record<string, unknown> }
  | { what: 'typing'; pair: Pair; name: string; typistId: string; payload: Record<string, unknown> }
  | { what: 'read'; pair: Pair; readerId: string; messageIds: readonly string[] }

/** Nobody looks at more of them; history has the rest. */
const mostReadAtOnce = 500

/** Translates each event once, however many sockets hear it. */
export class Translator {
  readonly #chat: Chat
  readonly #workspaceId: string
  readonly #directory: Directory
  readonly #base: string
  readonly #told = new WeakMap<Event, Promise<Told | null>>()

  constructor(chat: Chat, workspaceId: string, directory: Directory, base: string) {
    this.#chat = chat
    this.#workspaceId = workspaceId
    this.#directory = directory
    this.#base = base
  }

  of(event: Event): Promise<Told | null> {
    const told = this.#told.get(event) ?? this.#translate(event)
    this.#told.set(event, told)
    return told
  }

  async #translate(event: Event): Promise<Told | null> {
    if (!('conversationId' in event)) return null
    const pair = await this.#directory.pairOf(event.conversationId)
    if (!pair) return null
    switch (event.type) {
      case 'message.created':
        return this.#message(pair, event)
      case 'message.edited':
        return change(pair, 'message-edited', {
          id: event.messageId,
          conversationId: pair.id,
          message: event.body,
          editedAt: event.at,
        })
      case 'message.retracted':
        return change(pair, 'message-deleted', {
          id: event.messageId,
          conversationId: pair.id,
          deletedAt: event.at,
        })
      case 'message.reacted':
        return change(pair, 'message-reaction', {
          messageId: event.messageId,
          conversationId: pair.id,
          userId: pair.nameOf(event.userId),
          emoji: event.emoji,
          removed: event.removed,
        })
      case 'typing.changed':
        return {
          what: 'typing',
          pair,
          name: event.typing ? 'typing-start' : 'typing-stop',
          typistId: event.userId,
          payload: { conversationId: pair.id, userId: pair.nameOf(event.userId) },
        }
      case 'receipt.moved':
        return this.#read(pair, event.receipt.userId, event.newlyRead ?? [])
      default:
        return null
    }
  }

  #message(pair: Pair, { message, seq }: Extract<Event, { type: 'message.created' }>): Told | null {
    if (message.visibility !== 'everyone' || message.kind === 'system') return null
    const event = messageEvent(message, pair, this.#base)
    return { what: 'message', pair, messageId: message.id, senderId: message.senderId, seq, event }
  }

  async #read(pair: Pair, readerId: string, ranges: Ranges): Promise<Told | null> {
    if (ranges.length === 0) return null
    const messageIds = await writtenWithin(
      this.#chat.db,
      { workspaceId: this.#workspaceId, id: pair.conversationId },
      { senderId: pair.otherOf(readerId).userId, ranges, limit: mostReadAtOnce },
    )
    return { what: 'read', pair, readerId, messageIds: messageIds.toReversed() }
  }
}

const change = (pair: Pair, name: string, payload: Record<string, unknown>): Told => ({
  what: 'change',
  pair,
  name,
  payload,
})
