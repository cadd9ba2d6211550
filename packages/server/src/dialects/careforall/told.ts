import type { Event, Receipt } from '@parley/protocol'
import type { Actor } from '../../chat/actor.ts'
import { newestByOthers } from '../../chat/history.ts'
import { movesOf } from '../../chat/receipts.ts'
import { getConversation } from '../../chat/summaries.ts'
import type { Door } from '../door.ts'
import { participantsOf } from './conversations.ts'
import { namesOf } from './names.ts'
import type { Room } from './rooms.ts'
import { toConversationId, toFrame, toMessageId, toStatus } from './translate.ts'

/** What the sockets of a conversation are told of an event; all but the one that caused it hear the same. */
export type Told = object | null

const toldOf = new WeakMap<Event, Promise<Told>>()

/** Translates an event once, however many sockets hear it. */
export function translated(door: Door, room: Room, actor: Actor, event: Event): Promise<Told> {
  const known = toldOf.get(event)
  if (known) return known
  const told = translate(door, room, actor, event)
  toldOf.set(event, told)
  return told
}

async function translate(door: Door, room: Room, actor: Actor, event: Event): Promise<Told> {
  switch (event.type) {
    case 'message.created': {
      if (event.message.visibility === 'agents') return null
      const names = await namesOf(door, [event.message.senderId])
      return { type: 'message_received', ...toFrame(event.message, names) }
    }
    case 'receipt.moved':
      return readReceipt(door, event.conversationId, event.receipt, event.newlyRead ?? [])
    case 'typing.changed': {
      const userId = (await namesOf(door, [event.userId]))(event.userId)
      return { type: event.typing ? 'typing_start' : 'typing_stop', userId }
    }
    case 'conversation.updated':
      return event.changes.assigneeId === undefined
        ? { ...updatedFrame(event.conversationId), status: await statusAfter(door, actor, event) }
        : participantsNews(door, room, event.conversationId)
    case 'participant.joined':
      // Whoever came by connecting is told of as `user_joined`.
      return event.actorId === event.participant.userId
        ? null
        : participantsNews(door, room, event.conversationId)
    default:
      return null
  }
}

const updatedFrame = (conversationId: string) => ({
  type: 'conversation_updated',
  conversationId: toConversationId(conversationId),
})

async function statusAfter(
  { chat }: Door,
  actor: Actor,
  { conversationId, changes }: Extract<Event, { type: 'conversation.updated' }>,
) {
  if (changes.status) return toStatus(changes.status)
  const { conversation } = await getConversation(chat, actor, { conversationId })
  return toStatus(conversation.status)
}

/** Bringing somebody in and making the conversation theirs are two entries of the log, and one piece of news here. */
async function participantsNews(door: Door, room: Room, conversationId: string): Promise<Told> {
  const participants = await participantsOf(door, conversationId)
  return room.isNews(participants) ? { ...updatedFrame(conversationId), participants } : null
}

/** One receipt for a move of any size: it names the newest message that was read by it. */
async function readReceipt(
  door: Door,
  conversationId: string,
  { userId }: Receipt,
  newlyRead: readonly (readonly [number, number])[],
): Promise<Told> {
  const { chat, mount } = door
  const conversation = { workspaceId: mount.workspaceId, id: conversationId }
  const newest = newlyRead.length > 0 && (await newestByOthers(chat.db, conversation, userId, newlyRead))
  if (!newest) return null
  const range = { from: newest.seq, to: newest.seq }
  const moves = await movesOf(chat.db, mount.workspaceId, conversationId, range)
  const first = moves.find((move) => move.kind === 'read' && move.userId === userId)
  const names = await namesOf(door, [userId])
  return {
    type: 'read_receipt',
    messageId: toMessageId(newest.id),
    userId: names(userId),
    readAt: first?.at ?? new Date().toISOString(),
  }
}
