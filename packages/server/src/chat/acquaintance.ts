import { sql } from 'kysely'
import { type Actor, isStaff } from './actor.ts'
import type { Chat } from './chat.ts'
import { newestFirst, visibleTo } from './summaries.ts'

/**
 * Of these people, those whom the actor may know of: the team knows everybody of the workspace; a contact knows
 * whoever they share a conversation with. The rest are left out, existing or not.
 */
export async function visiblePeople(
  { db }: Pick<Chat, 'db'>,
  actor: Actor,
  userIds: readonly string[],
): Promise<string[]> {
  if (userIds.length === 0) return []
  const shared = sql`exists (
    select 1 from participant mine join participant theirs
      on theirs.workspace_id = mine.workspace_id and theirs.conversation_id = mine.conversation_id
    where mine.workspace_id = ${actor.workspaceId} and mine.person_id = ${actor.userId} and mine.left_at is null
      and theirs.person_id = s.id and theirs.left_at is null)`
  const { rows } = await sql<{ id: string }>`
    select s.id from person s where s.workspace_id = ${actor.workspaceId} and s.id = any (${userIds}::uuid[])
      and (s.id = ${actor.userId} or ${isStaff(actor) ? sql`true` : shared})`.execute(db)
  return rows.map((row) => row.id)
}

const conversationsLookedAt = 5_000

/**
 * Whom somebody meets in their conversations, the latest of them: who takes part, and who works in the inboxes where
 * they came in. The team meets each other in its inboxes even before anybody has written there.
 */
export async function acquaintancesOf(chat: Chat, actor: Actor): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    with here as materialized (
      select c.workspace_id, c.id, c.inbox_id from conversation c where ${visibleTo(actor)}
      order by ${newestFirst} limit ${conversationsLookedAt}
    ), inboxes as (
      select inbox_id from here union select unnest(${isStaff(actor) ? actor.inboxIds : []}::uuid[])
    )
    select p.person_id as id from here join participant p
      on p.workspace_id = here.workspace_id and p.conversation_id = here.id and p.left_at is null
    union select m.person_id from inbox_member m
      where m.workspace_id = ${actor.workspaceId} and m.inbox_id in (select inbox_id from inboxes)
    union select ${actor.userId}::uuid`.execute(chat.db)
  return rows.map((row) => row.id)
}
