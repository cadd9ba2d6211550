import { sql } from 'kysely'
import { type Actor, isStaff } from './actor.ts'
import type { Chat } from './chat.ts'

/**
 * Of these people, those whom the actor may know of: the team knows everybody of the workspace; a contact knows
 * whoever they share a conversation with. The rest are left out, existing or not.
 */
export async function visiblePeople(chat: Chat, actor: Actor, userIds: readonly string[]): Promise<string[]> {
  if (userIds.length === 0) return []
  const shared = sql`exists (
    select 1 from participant mine join participant theirs
      on theirs.workspace_id = mine.workspace_id and theirs.conversation_id = mine.conversation_id
    where mine.workspace_id = ${actor.workspaceId} and mine.person_id = ${actor.userId} and mine.left_at is null
      and theirs.person_id = s.id and theirs.left_at is null)`
  const { rows } = await sql<{ id: string }>`
    select s.id from person s where s.workspace_id = ${actor.workspaceId} and s.id = any (${userIds}::uuid[])
      and (s.id = ${actor.userId} or ${isStaff(actor) ? sql`true` : shared})`.execute(chat.db)
  return rows.map((row) => row.id)
}
