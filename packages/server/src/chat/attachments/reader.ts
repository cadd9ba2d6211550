import { sql } from 'kysely'
import type { Db } from '../../store/store.ts'
import type { Actor } from '../actor.ts'

/** Somebody by their id, and the session or key that they came by. */
type Reader = { workspaceId: string; userId: string; wayIn: string | null }

/**
 * Somebody as they stand at this moment, for whoever holds only their id: the reader of a link, or an uploader whose
 * upload took its time. Null when they are deactivated, or the session or key they came by has ended (promise G20),
 * whatever others they have. Whoever came by none has a door with tokens of its own behind them: for them to be null,
 * every session and key they ever had has ended.
 */
export async function readerOf(db: Db, { workspaceId, userId, wayIn }: Reader): Promise<Actor | null> {
  const person = await db
    .selectFrom('person')
    .select(['id', 'name', 'role', 'verified'])
    .select(signedIn(wayIn).as('signed_in'))
    .where('workspace_id', '=', workspaceId)
    .where('id', '=', userId)
    .where('deactivated_at', 'is', null)
    .executeTakeFirst()
  if (!person?.signed_in) return null
  const memberships = await db
    .selectFrom('inbox_member')
    .select('inbox_id')
    .where('workspace_id', '=', workspaceId)
    .where('person_id', '=', userId)
    .execute()
  return {
    workspaceId,
    userId,
    name: person.name,
    role: person.role,
    sessionId: null,
    inboxIds: memberships.map((membership) => membership.inbox_id),
    visitorInboxId: null,
    verified: person.verified,
    address: null,
  }
}

const signedIn = (wayIn: string | null) => sql<boolean>`(
  select coalesce(bool_or(live), ${wayIn}::uuid is null) from (
    select s.id, s.revoked_at is null and s.expires_at > now() as live from session s
    where s.workspace_id = person.workspace_id and s.person_id = person.id
    union all
    select k.id, k.revoked_at is null from api_key k
    where k.workspace_id = person.workspace_id and k.person_id = person.id
  ) way_in
  where ${wayIn}::uuid is null or way_in.id = ${wayIn}::uuid
)`
