import { sql } from 'kysely'
import type { Db } from '../../store/store.ts'
import type { Actor } from '../actor.ts'

/**
 * Somebody as they stand at this moment, for whoever holds only their id: the reader of a link, or an uploader whose
 * upload took its time. Null when they are deactivated or have signed out everywhere (promise G20): every session
 * and key they had has ended. People who never had one come through a door that has its own tokens.
 */
export async function readerOf(db: Db, workspaceId: string, userId: string): Promise<Actor | null> {
  const person = await db
    .selectFrom('person')
    .select(['id', 'name', 'role', 'verified'])
    .select(signedIn)
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

const signedIn = sql<boolean>`(
  select coalesce(bool_or(live), true) from (
    select s.revoked_at is null and s.expires_at > now() as live from session s
    where s.workspace_id = person.workspace_id and s.person_id = person.id
    union all
    select k.revoked_at is null from api_key k
    where k.workspace_id = person.workspace_id and k.person_id = person.id
  ) way_in
)`.as('signed_in')
