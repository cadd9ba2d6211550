import type { Actor } from '../../chat/actor.ts'
import { listMessages } from '../../chat/history.ts'
import { movesOf } from '../../chat/receipts.ts'
import type { Priyo } from './priyo.ts'
import { isShown, isWithin, type Span } from './translate.ts'

export type Reading = { messageId: string; readAt: string }

/** At most so many of the newest messages that one move of a mark passed are told one by one. */
const mostTold = 200
const rememberedMs = 2_000

/**
 * Which messages somebody has read now, and when. Every socket of a room wants to know the same at the same moment:
 * the first asks, the others share its answer.
 */
export class Readings {
  readonly #recent = new Map<string, Promise<Reading[]>>()

  find(
    priyo: Priyo,
    asker: Actor,
    conversationId: string,
    userId: string,
    spans: readonly Span[],
  ): Promise<Reading[]> {
    const key = `${conversationId} ${userId} ${JSON.stringify(spans)}`
    const known = this.#recent.get(key)
    if (known) return known
    const found = load(priyo, asker, conversationId, userId, spans)
    this.#recent.set(key, found)
    setTimeout(() => this.#recent.delete(key), rememberedMs).unref()
    found.catch(() => this.#recent.delete(key))
    return found
  }
}

async function load(
  priyo: Priyo,
  asker: Actor,
  conversationId: string,
  userId: string,
  spans: readonly Span[],
): Promise<Reading[]> {
  const from = Math.min(...spans.map(([first]) => first))
  const to = Math.max(...spans.map(([, last]) => last))
  const { messages } = await listMessages(priyo.chat, asker, {
    conversationId,
    before: to + 1,
    limit: mostTold,
  })
  const read = messages.filter(
    (message) => isWithin(message.seq, spans) && message.senderId !== userId && isShown(message),
  )
  if (read.length === 0) return []
  const moves = await movesOf(priyo.chat.db, priyo.workspaceId, conversationId, { from, to })
  const own = moves.filter((move) => move.kind === 'read' && move.userId === userId)
  return read.flatMap((message) => {
    const move = own.find((one) => one.from < message.seq && message.seq <= one.to)
    return move ? [{ messageId: message.id, readAt: move.at }] : []
  })
}
