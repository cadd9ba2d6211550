import { sql } from 'kysely'
import type { Blobs } from '../blobs.ts'
import { type Chat, change } from '../chat.ts'
import { blobsOf } from './row.ts'

/** What the sweep needs of the blobs beyond what the verbs need: to find what nobody asks for. */
export type SweptBlobs = Blobs & {
  /** Everything that lies there and was written at least so long ago. */
  keys(olderThanMs: number): AsyncIterable<string>
  /** Removes what was begun at least so long ago and never finished; says how many. */
  sweep(olderThanMs: number): Promise<number>
}

export type Swept = { unsent: number; orphans: number; unfinished: number }

const batch = 500

/**
 * Removes what uploads left behind: files never sent with a message within a day, and, older than `olderThanMs`,
 * bytes without a row (their message was retracted or deleted, or we died between the two) and bytes half written. Call it well within each hour with an age
 * above that of the slowest upload; it may run on many nodes at once, and be killed at any point.
 */
export async function sweepAttachments(
  chat: Chat & { blobs: SweptBlobs },
  olderThanMs: number,
): Promise<Swept> {
  const unsent = await removeUnsent(chat)
  const orphans = await removeOrphans(chat, olderThanMs)
  return { unsent, orphans, unfinished: await chat.blobs.sweep(olderThanMs) }
}

/** Rows first, then bytes: dying in between leaves bytes without a row, which the next sweep finds. */
async function removeUnsent(chat: Chat): Promise<number> {
  let removed = 0
  for (;;) {
    const rows = await removeUnsentRows(chat)
    for (const row of rows) await Promise.all(blobsOf(row).map((key) => chat.blobs.remove(key)))
    removed += rows.length
    if (rows.length < batch) return removed
  }
}

/** Locks conversations and files as `append_each` does, in its order, so that no message claims a file that is going. */
function removeUnsentRows(chat: Chat) {
  return change(chat, async ({ db }) => {
    const old = await db
      .selectFrom('attachment')
      .select(['workspace_id', 'conversation_id', 'id'])
      .where('message_id', 'is', null)
      .where('created_at', '<', sql<string>`now() - interval '24 hours'`)
      .orderBy('created_at')
      .limit(batch)
      .execute()
    if (old.length === 0) return []
    const conversationIds = [...new Set(old.flatMap((row) => row.conversation_id ?? []))]
    await db
      .selectFrom('conversation')
      .select('id')
      .where('workspace_id', 'in', [...new Set(old.map((row) => row.workspace_id))])
      .where(sql<boolean>`id = any (${conversationIds}::uuid[])`)
      .orderBy('workspace_id')
      .orderBy('id')
      .forNoKeyUpdate()
      .execute()
    const unsent = await db
      .selectFrom('attachment')
      .select('id')
      .where('workspace_id', 'in', [...new Set(old.map((row) => row.workspace_id))])
      .where(
        'id',
        'in',
        old.map((row) => row.id),
      )
      .where('message_id', 'is', null)
      .orderBy('workspace_id')
      .orderBy('id')
      .forNoKeyUpdate()
      .execute()
    if (unsent.length === 0) return []
    return db
      .deleteFrom('attachment')
      .where('workspace_id', 'in', [...new Set(old.map((row) => row.workspace_id))])
      .where(
        'id',
        'in',
        unsent.map((row) => row.id),
      )
      .returning(['id', 'has_thumbnail'])
      .execute()
  })
}

async function removeOrphans(chat: Chat & { blobs: SweptBlobs }, olderThanMs: number): Promise<number> {
  let removed = 0
  let keys: string[] = []
  const settle = async () => {
    const owned = await idsAmong(chat, keys.map(attachmentIdOf))
    const orphans = keys.filter((key) => !owned.has(attachmentIdOf(key)))
    for (const key of orphans) await chat.blobs.remove(key)
    removed += orphans.length
    keys = []
  }
  for await (const key of chat.blobs.keys(olderThanMs)) {
    keys.push(key)
    if (keys.length === batch) await settle()
  }
  if (keys.length > 0) await settle()
  return removed
}

const attachmentIdOf = (key: string) => key.slice(0, 36)

/** Joined from the workspaces, since the only index begins with them: ids of files are unique across all. */
async function idsAmong(chat: Chat, ids: string[]): Promise<Set<string>> {
  const rows = await chat.db
    .selectFrom('workspace')
    .innerJoin('attachment', 'attachment.workspace_id', 'workspace.id')
    .select('attachment.id')
    .where('attachment.id', 'in', [...new Set(ids)])
    .execute()
  return new Set(rows.map((row) => row.id))
}
