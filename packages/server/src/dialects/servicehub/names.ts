import { createHash } from 'node:crypto'
import { type AliasKind, aliasesOf, aliasOf, idOfAlias } from '../../chat/aliases.ts'
import { messageAt } from '../../chat/history.ts'
import type { Door } from '../door.ts'

/** Ids as this dialect writes them: decimal strings that fit into 64 bits. */
export const names = {
  of: ({ chat, mount }: Door, kind: AliasKind, id: string) =>
    aliasOf(chat.db, mount.workspaceId, 'decimal', kind, id),

  ofAll: ({ chat, mount }: Door, kind: AliasKind, ids: readonly string[]) =>
    aliasesOf(chat.db, mount.workspaceId, 'decimal', kind, ids),

  /** The thing with this name, or null: for a name nobody has, and for text that is no such number. */
  idOf: async ({ chat, mount }: Door, kind: AliasKind, name: string) =>
    isNumber(name) ? idOfAlias(chat.db, mount.workspaceId, 'decimal', kind, name) : null,
}

/** Enough for every position in a conversation; what is above it is the number of the conversation. */
const seqBits = 31n

/**
 * A message has a number but no row for it: where it stands says it all. A name of its own would be a second commit for
 * every send, which made three of five of the native rate of all.
 */
export const messageName = (conversation: string, seq: number) =>
  String((BigInt(conversation) << seqBits) | BigInt(seq))

/** The message with this name, or null. */
export async function messageNamed(door: Door, name: string): Promise<string | null> {
  if (!isNumber(name)) return null
  const conversationId = await names.idOf(door, 'conversation', String(BigInt(name) >> seqBits))
  const seq = Number(BigInt.asUintN(Number(seqBits), BigInt(name)))
  return conversationId && messageAt(door.chat.db, door.mount.workspaceId, conversationId, seq)
}

/** An entry of somebody in a conversation has a name but no row: its id follows from the two. */
export function entryId(conversationId: string, userId: string): string {
  const hex = createHash('sha256').update(`${conversationId} ${userId}`).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
}

const isNumber = (name: string) => /^[1-9]\d{0,18}$/.test(name) && BigInt(name) < 2n ** 63n
