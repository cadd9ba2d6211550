import type { InputOf, ResultOf, User } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { type Actor, isStaff, mayGrant } from './actor.ts'
import { audit } from './audit.ts'
import { type Chat, change } from './chat.ts'
import { Failure, notFound } from './failure.ts'
import { handBack } from './handing-back.ts'
import { leaveInboxes } from './inbox-members.ts'
import { revokeInvitationsOf } from './invitations.ts'
import { revokeSessions } from './sessions.ts'
import { type PersonRow, viewAcquaintance, viewUser } from './user-view.ts'

/** The team: everybody who is not a contact, switched off or not. */
export async function listUsers(chat: Chat, actor: Actor): Promise<ResultOf<'user.list'>> {
  const rows = await chat.db
    .selectFrom('person')
    .selectAll()
    .where('workspace_id', '=', actor.workspaceId)
    .where('role', '<>', 'contact')
    .orderBy('name')
    .orderBy('id')
    .execute()
  return { users: rows.map(viewUser) }
}

/** One person: myself, anybody for the team; for a contact, who takes part in an active conversation of theirs. */
export async function getUser(chat: Chat, actor: Actor, { userId }: InputOf<'user.get'>): Promise<User> {
  if (userId !== actor.userId && !isStaff(actor) && !(await isAcquainted(chat.db, actor, userId))) {
    throw notFound()
  }
  const person = await personById(chat.db, actor.workspaceId, userId)
  return userId === actor.userId || isStaff(actor) ? viewUser(person) : viewAcquaintance(person)
}

async function isAcquainted(db: Db, actor: Actor, userId: string): Promise<boolean> {
  const shared = await db
    .selectFrom('participant as mine')
    .innerJoin('participant as theirs', (join) =>
      join
        .onRef('theirs.workspace_id', '=', 'mine.workspace_id')
        .onRef('theirs.conversation_id', '=', 'mine.conversation_id'),
    )
    .innerJoin('conversation as c', (join) =>
      join.onRef('c.workspace_id', '=', 'mine.workspace_id').onRef('c.id', '=', 'mine.conversation_id'),
    )
    .select('c.id')
    .where('mine.workspace_id', '=', actor.workspaceId)
    .where('mine.person_id', '=', actor.userId)
    .where('mine.left_at', 'is', null)
    .where('theirs.person_id', '=', userId)
    .where('theirs.left_at', 'is', null)
    .where('c.deleted_at', 'is', null)
    .where('c.status', 'not in', ['closed', 'archived'])
    .limit(1)
    .executeTakeFirst()
  return shared !== undefined
}

/**
 * Changes a role, or switches an account off or on. Whoever does it stands above the person as they are and as they
 * will be; owners may change owners, but the last one stays.
 */
export async function updateUser(
  chat: Chat,
  actor: Actor,
  { userId, role, active, name }: InputOf<'user.update'>,
): Promise<User> {
  return change(chat, async (change) => {
    const owners = await lockOwners(change.db, actor.workspaceId)
    const before = await personById(change.db, actor.workspaceId, userId, { lock: true })
    if (!mayGrant(actor, before.role) || (role !== undefined && !mayGrant(actor, role))) {
      throw new Failure('forbidden')
    }
    const staysOwner = (role ?? 'owner') === 'owner' && active !== false
    if (!staysOwner && owners.length === 1 && owners[0] === userId) throw new Failure('last_owner')
    const after = await change.db
      .updateTable('person')
      .set({
        name,
        // Deciding on a role, even the same one, answers what somebody asked for when they registered.
        ...(role !== undefined && { role, wanted_role: null }),
        ...(active === false && {
          deactivated_at: sql`coalesce(deactivated_at, now())`,
          session_version: sql`session_version + 1`,
        }),
        ...(active === true && { deactivated_at: null }),
        changed_xid: sql`pg_current_xact_id()`,
      })
      .where('workspace_id', '=', actor.workspaceId)
      .where('id', '=', userId)
      .returningAll()
      .executeTakeFirstOrThrow(notFound)
    if (active === false) await revokeSessions(change, actor.workspaceId, userId)
    if (!isStaff(after)) await leaveInboxes(change.db, actor.workspaceId, userId)
    if (!isStaff(after) || active === false) await handBack(change, actor, userId)
    if (active === false || after.role !== before.role) {
      await revokeInvitationsOf(change.db, actor.workspaceId, userId)
    }
    await audit(change.db, actor, {
      action: 'user.update',
      targetType: 'user',
      targetId: userId,
      before: standing(before),
      after: standing(after),
    })
    change.announce({ type: 'access', workspaceId: actor.workspaceId, userIds: [userId] })
    return viewUser(after)
  })
}

/**
 * Owners who can sign in. Locked in order, so that of two who remove each other the second finds itself the last; their keys
 * stay free for whoever holds a conversation and lets them in (`admit`), which would be the other way round.
 */
async function lockOwners(db: Db, workspaceId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('person')
    .select('id')
    .where('workspace_id', '=', workspaceId)
    .where('role', '=', 'owner')
    .where('deactivated_at', 'is', null)
    .orderBy('id')
    .forNoKeyUpdate()
    .execute()
  return rows.map((row) => row.id)
}

const standing = (person: PersonRow) => ({
  role: person.role,
  active: person.deactivated_at === null,
  name: person.name,
})

export async function personById(
  db: Db,
  workspaceId: string,
  userId: string,
  { lock = false }: { lock?: boolean } = {},
): Promise<PersonRow> {
  return db
    .selectFrom('person')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where('id', '=', userId)
    .$if(lock, (query) => query.forNoKeyUpdate())
    .executeTakeFirstOrThrow(notFound)
}

/** The same by the ids that another service gave them. */
export async function peopleByExternalIds(
  db: Db,
  workspaceId: string,
  externalIds: readonly string[],
): Promise<PersonRow[]> {
  if (externalIds.length === 0) return []
  return db
    .selectFrom('person')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where(sql<boolean>`external_id = any (${externalIds}::text[])`)
    .execute()
}

/** Several people at once, switched off or not; whoever does not exist is left out. The caller has checked that they may be seen. */
export async function peopleByIds(
  db: Db,
  workspaceId: string,
  userIds: readonly string[],
): Promise<PersonRow[]> {
  if (userIds.length === 0) return []
  return db
    .selectFrom('person')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where(sql<boolean>`id = any (${userIds}::uuid[])`)
    .execute()
}
