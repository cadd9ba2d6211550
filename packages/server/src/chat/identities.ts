import { randomUUIDv7 } from 'node:crypto'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import type { Actor } from './actor.ts'
import { audit } from './audit.ts'
import { type Change, type Chat, change } from './chat.ts'
import { type Claimed, readExternalToken, type TokenUse } from './external-tokens.ts'
import { Failure } from './failure.ts'
import { handBack } from './handing-back.ts'
import { inboxIdsOf, leaveInboxes } from './inbox-members.ts'
import { recentActors } from './recent-actors.ts'
import { hashToken } from './tokens.ts'
import type { PersonRow } from './user-view.ts'

/** Somebody who comes with a token of another service, at a door that speaks that service's language. */
export async function identify(
  chat: Chat,
  workspaceId: string,
  token: string,
  { address = null }: { address?: string | null } = {},
): Promise<Actor> {
  const key = `external ${workspaceId} ${hashToken(token).toString('base64url')}`
  const actor = await recentActors(chat).find(key, async () => {
    const person = await meetHolder(chat, workspaceId, token, 'door')
    return actorOf(chat.db, person, null)
  })
  return { ...actor, address }
}

/**
 * Who that is now, for a connection that stays: as the store says, and gone when switched off. The token is not asked
 * again, for it may have run out meanwhile; and of two that disagree each would follow itself, one after the other,
 * without end.
 */
export async function identifyAgain(chat: Chat, { workspaceId, userId, ...actor }: Actor): Promise<Actor> {
  const person = await chat.db
    .selectFrom('person')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where('id', '=', userId)
    .where('deactivated_at', 'is', null)
    .executeTakeFirst()
  if (!person) throw new Failure('unauthenticated')
  return { ...(await actorOf(chat.db, person, actor.visitorInboxId)), address: actor.address }
}

async function actorOf(db: Db, person: PersonRow, inboxId: string | null): Promise<Actor> {
  return {
    workspaceId: person.workspace_id,
    userId: person.id,
    name: person.name,
    role: inboxId ? 'contact' : person.role,
    sessionId: null,
    inboxIds: inboxId ? [] : await inboxIdsOf(db, person.workspace_id, person.id),
    visitorInboxId: inboxId,
    verified: true,
    address: null,
  }
}

/** The person that a token names, made on first sight and kept as the token says. */
export async function meetHolder(
  chat: Chat,
  workspaceId: string,
  token: string,
  use: TokenUse,
): Promise<PersonRow> {
  const claimed = await readExternalToken(chat, workspaceId, token, use)
  // As a visitor nobody is staff, whatever a token says, and nobody stops being staff by visiting.
  const roleFollows = typeof use === 'string'
  const known = await findByExternalId(chat.db, workspaceId, claimed.externalId)
  if (known && !differs(known, claimed, roleFollows)) return known
  return change(chat, (change) => meet(change, workspaceId, claimed, { roleFollows }))
}

/** Makes or finds the person of these claims, and follows what changed. */
export async function meet(
  change: Change,
  workspaceId: string,
  claimed: Claimed,
  { roleFollows }: { roleFollows: boolean },
): Promise<PersonRow> {
  await lockExternalId(change.db, workspaceId, claimed.externalId)
  const known = await findByExternalId(change.db, workspaceId, claimed.externalId)
  if (!known) return welcome(change.db, workspaceId, roleFollows ? claimed : { ...claimed, role: 'contact' })
  return differs(known, claimed, roleFollows) ? follow(change, known, claimed, roleFollows) : known
}

/** Held by everybody who gives a person an external id, so that nobody is met twice at once. */
export async function lockExternalId(db: Db, workspaceId: string, externalId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`${workspaceId} ${externalId}`}, 0))`.execute(db)
}

/** Whoever was switched off stays off. An owner signs in here, never through somebody else's key. */
export async function findByExternalId(
  db: Db,
  workspaceId: string,
  externalId: string,
): Promise<PersonRow | undefined> {
  const person = await db
    .selectFrom('person')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where('external_id', '=', externalId)
    .executeTakeFirst()
  if (person?.deactivated_at || person?.role === 'owner') throw new Failure('unauthenticated')
  return person
}

const differs = (person: PersonRow, claimed: Claimed, roleFollows: boolean) =>
  !person.verified ||
  (claimed.name !== null && claimed.name !== person.name) ||
  (claimed.email !== null && claimed.email !== person.email) ||
  (roleFollows && claimed.role !== person.role)

async function welcome(db: Db, workspaceId: string, claimed: Claimed): Promise<PersonRow> {
  const person = await db
    .insertInto('person')
    .values({
      workspace_id: workspaceId,
      id: randomUUIDv7(),
      role: claimed.role,
      name: claimed.name ?? claimed.externalId,
      email: claimed.email,
      external_id: claimed.externalId,
      verified: true,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  if (person.role !== 'contact') await noteRole(db, person, null)
  return person
}

async function follow(
  change: Change,
  person: PersonRow,
  claimed: Claimed,
  roleFollows: boolean,
): Promise<PersonRow> {
  const { workspace_id: workspaceId, id } = person
  const followed = await change.db
    .updateTable('person')
    .set({
      verified: true,
      name: claimed.name ?? person.name,
      email: claimed.email ?? person.email,
      ...(roleFollows && { role: claimed.role, wanted_role: null }),
      changed_xid: sql`pg_current_xact_id()`,
    })
    .where('workspace_id', '=', workspaceId)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
  if (followed.role !== person.role) {
    if (followed.role === 'contact') {
      await leaveInboxes(change.db, workspaceId, id)
      await handBack(change, { workspaceId, userId: null }, id)
    }
    await noteRole(change.db, followed, person.role)
  }
  change.announce({ type: 'access', workspaceId, userIds: [id] })
  return followed
}

/** Nobody here decided this, so no actor stands in the entry. */
async function noteRole(db: Db, person: PersonRow, before: PersonRow['role'] | null): Promise<void> {
  await audit(
    db,
    { workspaceId: person.workspace_id, userId: null, address: null },
    {
      action: 'user.claimedRole',
      targetType: 'user',
      targetId: person.id,
      before: before && { role: before },
      after: { role: person.role },
    },
  )
}
