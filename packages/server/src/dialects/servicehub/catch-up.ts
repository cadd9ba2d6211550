import type { Message } from '@parley/protocol'
import type { Actor } from '../../chat/actor.ts'
import { listMessages } from '../../chat/history.ts'
import { listConversations } from '../../chat/summaries.ts'
import type { Door } from '../door.ts'
import { created, type Frame, type Translator } from './told.ts'

/** Clocks of nodes differ: messages of this long before a cursor are told again, and merged by their id. */
const overlapMs = 60_000
const page = 200
const mostPages = 5

/** Where a stream stands. Opaque to clients. */
export const cursorNow = () => String(Date.now())

/**
 * What somebody missed since a cursor: word that lists and flags are to be loaded again, then the messages of every
 * conversation with something new, oldest first, each at least once. After too long or too much, only the word.
 */
export async function missedSince(
  door: Door,
  translator: Translator,
  actor: Actor,
  cursor: string,
): Promise<Frame[]> {
  if (!/^\d{12,14}$/.test(cursor)) return [created]
  const since = new Date(Number(cursor) - overlapMs).toISOString()
  const conversationIds = await activeSince(door, actor, since)
  if (!conversationIds) return [created]
  const messages: Message[] = []
  for (const id of conversationIds) messages.push(...(await messagesSince(door, actor, id, since)))
  messages.sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1))
  const frames: Frame[] = [created]
  for (const message of messages) {
    const logged = { conversationId: message.conversationId, seq: message.seq, at: message.createdAt }
    const event = { type: 'message.created' as const, ...logged, actorId: message.senderId, message }
    frames.push(...(await translator.of(event)))
  }
  return frames
}

/** Conversations with something new since then, or null when they are too many to tell. */
async function activeSince(door: Door, actor: Actor, since: string): Promise<string[] | null> {
  const found: string[] = []
  let next: string | null | undefined
  for (let pages = 0; pages < mostPages; pages++) {
    const { conversations, nextPage } = await listConversations(door.chat, actor, {
      limit: page,
      ...(next && { page: next }),
    })
    const active = conversations.filter(({ conversation }) => conversation.updatedAt >= since)
    found.push(...active.map(({ conversation }) => conversation.id))
    if (!nextPage || active.length < conversations.length) return found
    next = nextPage
  }
  return null
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
