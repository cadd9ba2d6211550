import type { Actor } from './actor.ts'
import type { Chat } from './chat.ts'
import { Failure } from './failure.ts'
import type { Caller } from './sessions.ts'

const freshForMs = 2_000
const known = new WeakMap<Chat, Map<string, { origins: string[]; readAt: number }>>()

/**
 * A visitor's browser acts only from pages that the inbox allows. No origin means no browser page stands behind the
 * request (or one of our own), which the visitor's token alone must then justify.
 */
export async function requireOrigin(chat: Chat, actor: Actor, caller: Caller): Promise<void> {
  if (!actor.visitorInboxId || !caller.origin) return
  const origins = await originsOf(chat, actor.workspaceId, actor.visitorInboxId)
  if (!isAllowedOrigin(chat, origins, caller.origin)) throw new Failure('origin_refused')
}

/** An empty list allows every page; our own pages are always among them. */
export const isAllowedOrigin = (chat: Chat, origins: readonly string[], origin: string) =>
  origins.length === 0 || origins.includes(origin) || origin === chat.config.publicUrl

async function originsOf(chat: Chat, workspaceId: string, inboxId: string): Promise<string[]> {
  const cache = known.get(chat) ?? new Map()
  known.set(chat, cache)
  const cached = cache.get(inboxId)
  if (cached && performance.now() - cached.readAt < freshForMs) return cached.origins
  const row = await chat.db
    .selectFrom('inbox')
    .select('origins')
    .where('workspace_id', '=', workspaceId)
    .where('id', '=', inboxId)
    .executeTakeFirst()
  const origins = row?.origins ?? []
  cache.set(inboxId, { origins, readAt: performance.now() })
  return origins
}
