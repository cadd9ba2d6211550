import type { Message } from '@parley/protocol'
import type { Actor } from '../../chat/actor.ts'
import { isStaff } from '../../chat/actor.ts'
import { Failure } from '../../chat/failure.ts'
import { listMessages } from '../../chat/history.ts'
import { changesSince, resumeCursor } from '../../chat/summaries.ts'
import type { Door } from '../door.ts'
import { created, deleted, type Frame, type Translator } from './told.ts'

/** Clocks of nodes differ: messages of this long before a cursor are told again, and merged by their id. */
const overlapMs = 60_000
const page = 200

/** Where a stream stands: a position in all lists, and when it was taken. Opaque to clients. */
export async function cursorNow(door: Door): Promise<string> {
  return `${await resumeCursor(door.chat)}.${Date.now()}`
}

/**
 * What somebody missed since a cursor: the messages of every conversation that has changed, oldest first, each at
 * least once. Lists that changed are to be loaded again, and with them the flags.
 */
export async function missedSince(
  door: Door,
  translator: Translator,
  actor: Actor,
  cursor: string,
): Promise<Frame[]> {
  const [position = '', takenAt] = cursor.split('.')
  const changes = await changesSince(door.chat, actor, position).catch((error: unknown) => {
    if (error instanceof Failure && error.code === 'invalid_cursor') return null
    throw error
  })
  if (!changes || changes.outcome === 'reset' || !/^\d{1,15}$/.test(takenAt ?? '')) return [created]
  const since = new Date(Number(takenAt) - overlapMs).toISOString()
  const messages: Message[] = []
  for (const { conversation } of changes.summaries)
    messages.push(...(await messagesSince(door, actor, conversation.id, since)))
  messages.sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1))
  const frames: Frame[] = []
  if (isStaff(actor) && changes.summaries.some(({ conversation }) => conversation.createdAt > since))
    frames.push(created)
  if (changes.lost.length > 0) frames.push(deleted)
  for (const message of messages) {
    const logged = { conversationId: message.conversationId, seq: message.seq, at: message.createdAt }
    const event = { type: 'message.created' as const, ...logged, actorId: message.senderId, message }
    frames.push(...(await translator.of(event)))
  }
  return frames
}

async function messagesSince(door: Door, actor: Actor, conversationId: string, since: string) {
  const found: Message[] = []
  for (let before: number | undefined, more = true; more; before = found[0]?.seq) {
    const { messages, hasMore } = await listMessages(door.chat, actor, {
      conversationId,
      limit: page,
      ...(before !== undefined && { before }),
    })
    found.unshift(...messages)
    more = hasMore && (messages[0]?.createdAt ?? '') >= since
  }
  return found.filter((message) => message.createdAt >= since)
}
