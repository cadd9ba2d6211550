import type { AuditEntry, InputOf, ResultOf } from '@parley/protocol'
import { type Selectable, sql } from 'kysely'
import type { Tables } from '../store/store.ts'
import type { Actor } from './actor.ts'
import type { Chat } from './chat.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'

/** Privileged acts, newest first. Ids are made in order of time. */
export async function listAudit(
  chat: Chat,
  actor: Actor,
  { limit = 50, page }: InputOf<'audit.list'>,
): Promise<ResultOf<'audit.list'>> {
  const [before] = page === undefined ? [undefined] : decodeCursor(page, ['id'])
  const rows = await chat.db
    .selectFrom('audit_entry')
    .selectAll()
    .where('workspace_id', '=', actor.workspaceId)
    .$if(before !== undefined, (query) => query.where('id', '<', sql<string>`${before}::uuid`))
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute()
  const shown = rows.slice(0, limit)
  const last = rows.length > limit ? shown.at(-1) : undefined
  return { entries: shown.map(viewEntry), nextPage: last ? encodeCursor([last.id]) : null }
}

const viewEntry = (row: Selectable<Tables['audit_entry']>): AuditEntry => ({
  id: row.id,
  at: row.at,
  actorId: row.actor_id,
  action: row.action,
  targetType: row.target_type,
  targetId: row.target_id,
  before: row.before,
  after: row.after,
  address: row.address,
})
