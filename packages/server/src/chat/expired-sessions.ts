import { sql } from 'kysely'
import type { Chat } from './chat.ts'

const batch = 500
const batchesAtOnce = 20

/**
 * Removes sessions that expired more than a day ago, with their refresh tokens, the oldest first; says how many. It
 * takes a bounded number: call it again and again. It may run on many nodes at once, and be killed at any point.
 */
export async function removeExpiredSessions(chat: Chat): Promise<number> {
  let removed = 0
  for (let i = 0; i < batchesAtOnce; i++) {
    const count = await removeSome(chat)
    removed += count
    if (count < batch) break
  }
  return removed
}

/**
 * A day, because whose last session has gone is taken for somebody who never had one, whose links to files work: by
 * then every link that was signed while it stood has expired too.
 */
async function removeSome(chat: Chat): Promise<number> {
  const { numAffectedRows } = await sql`/* remove_expired_sessions */ with expired as materialized (
      select workspace_id, id from session where expires_at < now() - interval '1 day'
      order by expires_at limit ${batch} for update skip locked
    ), tokens as (
      delete from refresh_token t using expired e where t.workspace_id = e.workspace_id and t.session_id = e.id
    )
    delete from session s using expired e where s.workspace_id = e.workspace_id and s.id = e.id`.execute(
    chat.db,
  )
  return Number(numAffectedRows ?? 0)
}
