import { limits } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import type { Actor } from './actor.ts'
import { Failure } from './failure.ts'

/**
 * Anybody can be a visitor, so what one may leave lying with us has an end. Asked after another conversation was opened or
 * another file was taken, in the same transaction; of two at once the second waits for the first and counts it.
 */
export async function requireFewConversations(db: Db, actor: Actor): Promise<void> {
  if (!actor.visitorInboxId) return
  await lockVisitor(db, actor)
  const { rows } = await sql<{ count: number }>`select count(*)::int from participant p
    join conversation c on c.workspace_id = p.workspace_id and c.id = p.conversation_id
    where p.workspace_id = ${actor.workspaceId} and p.person_id = ${actor.userId} and p.left_at is null
      and c.created_by = ${actor.userId} and c.deleted_at is null
      and c.status not in ('closed', 'archived')`.execute(db)
  const limit = limits.openConversationsPerVisitor
  if ((rows[0]?.count ?? 0) > limit) throw new Failure('too_many_conversations', { limit })
}

/** The same for files that no message names yet. Asked before one is `coming`, too, so that its bytes are not read for nothing. */
export async function requireFewFiles(
  db: Db,
  actor: Actor,
  { coming = 0 }: { coming?: number } = {},
): Promise<void> {
  if (!actor.visitorInboxId) return
  await lockVisitor(db, actor)
  const { rows } = await sql<{ count: number; bytes: number }>`
    select count(*)::int, coalesce(sum(size), 0)::bigint as bytes from attachment
    where workspace_id = ${actor.workspaceId} and uploader_id = ${actor.userId} and message_id is null`.execute(
    db,
  )
  const { count, bytes } = rows[0] ?? { count: 0, bytes: 0 }
  const { unsentFilesPerVisitor: limit, unsentBytesPerVisitor: bytesLimit } = limits
  if (count + coming > limit || bytes > bytesLimit) throw new Failure('too_many_files', { limit, bytesLimit })
}

const lockVisitor = (db: Db, { workspaceId, userId }: Actor) =>
  sql`select 1 from person where workspace_id = ${workspaceId} and id = ${userId} for no key update`.execute(
    db,
  )
