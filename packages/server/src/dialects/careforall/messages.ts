import { randomUUID } from 'node:crypto'
import type { Message } from '@parley/protocol'
import { type Actor, isStaff } from '../../chat/actor.ts'
import { pageBetween } from '../../chat/history.ts'
import { sendMessage } from '../../chat/messages.ts'
import { movesOf } from '../../chat/receipts.ts'
import type { Door } from '../door.ts'
import { requireId } from './conversations.ts'
import { namesOf } from './names.ts'
import { refusals } from './refusals.ts'
import { fromMessageId, fromPaging, type NewMessage, toMessage } from './translate.ts'

export async function history(door: Door, actor: Actor, name: string, query: Record<string, unknown>) {
  const conversationId = requireId(name)
  const { page, limit } = fromPaging(query, 50)
  const beforeId = fromMessageId(query.before)
  const afterId = fromMessageId(query.after)
  const { messages, total } = await pageBetween(door.chat, actor, {
    conversationId,
    page,
    limit,
    ...(beforeId && { beforeId }),
    ...(afterId && { afterId }),
  })
  return {
    messages: await withReaders(door, conversationId, messages),
    pagination: { total, page, limit },
  }
}

async function withReaders(door: Door, conversationId: string, messages: readonly Message[]) {
  const first = messages[0]
  const last = messages.at(-1)
  if (!first || !last) return []
  const { chat, mount } = door
  const range = { from: first.seq, to: last.seq }
  const moves = await movesOf(chat.db, mount.workspaceId, conversationId, range)
  const people = [...messages.map(({ senderId }) => senderId), ...moves.map(({ userId }) => userId)]
  const names = await namesOf(door, people)
  return messages.map((message) => toMessage(message, moves, names))
}

/** Sends, by the rules of the mount: what is closed opens again or refuses, what is archived refuses. */
export function sent(
  door: Door,
  actor: Actor,
  conversationId: string,
  { body, messageType, metadata, clientMessageId = randomUUID() }: NewMessage,
): Promise<Message> {
  if (messageType === 'SYSTEM' && !isStaff(actor)) throw refusals.onlyAdminsSpeakForSystem()
  const isSystem = messageType === 'SYSTEM'
  return sendMessage(
    door.chat,
    actor,
    {
      conversationId,
      clientMessageId,
      body,
      ...(metadata && { metadata }),
      ...(messageType === 'FILE' && { kind: 'file' }),
    },
    {
      reopens: door.mount.options.closed === 'reject' ? 'never' : 'always',
      ...(isSystem && { kind: 'system' }),
    },
  )
}

export async function posted(door: Door, actor: Actor, name: string, given: NewMessage) {
  const message = await sent(door, actor, requireId(name), given)
  return { ...toMessage(message, [], await namesOf(door, [message.senderId])), ...given.echo }
}
