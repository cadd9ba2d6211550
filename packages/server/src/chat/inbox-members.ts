import type { InboxMember, InputOf, ResultOf } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { type Actor, isStaff } from './actor.ts'
import { audit } from './audit.ts'
import { type Change, type Chat, change } from './chat.ts'
import { notFound } from './failure.ts'
import { handBack } from './handing-back.ts'
import { requireInbox, requireOwnInbox } from './inboxes.ts'
import type { PersonRow } from './user-view.ts'

/** Who works in an inbox. */
export async function listInboxMembers(
  chat: Chat,
  actor: Actor,
  { inboxId }: InputOf<'inboxMember.list'>,
): Promise<ResultOf<'inboxMember.list'>> {
  await requireOwnInbox(chat.db, actor, inboxId)
  return { members: await membersOf(chat.db, actor.workspaceId, inboxId) }
}

/** Lets somebody of the team work in an inbox, or changes how. */
export async function putInboxMember(
  chat: Chat,
  actor: Actor,
  { inboxId, userId, role = 'member' }: InputOf<'inboxMember.put'>,
): Promise<InboxMember> {
  return change(chat, async ({ db, announce }) => {
    await requireInbox(db, actor.workspaceId, inboxId)
    await requireTeam(db, actor.workspaceId, userId)
    await db
      .insertInto('inbox_member')
      .values({ workspace_id: actor.workspaceId, inbox_id: inboxId, person_id: userId, role })
      .onConflict((conflict) =>
        conflict.columns(['workspace_id', 'inbox_id', 'person_id']).doUpdateSet({ role }),
      )
      .execute()
    await touch(db, actor.workspaceId, userId)
    await audit(db, actor, {
      action: 'inboxMember.put',
      targetType: 'inbox',
      targetId: inboxId,
      after: { userId, role },
    })
    announce({ type: 'access', workspaceId: actor.workspaceId, userIds: [userId] })
    const [member] = await membersOf(db, actor.workspaceId, inboxId, userId)
    if (!member) throw notFound()
    return member
  })
}

/** Lets somebody work in an inbox from the moment their account is made, in the same transaction. */
export async function joinInbox(
  { db, announce }: Change,
  person: Pick<PersonRow, 'workspace_id' | 'id' | 'role'>,
  inboxId: string,
): Promise<void> {
  await requireInbox(db, person.workspace_id, inboxId)
  if (!isStaff(person)) return
  await db
    .insertInto('inbox_member')
    .values({ workspace_id: person.workspace_id, inbox_id: inboxId, person_id: person.id })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  announce({ type: 'access', workspaceId: person.workspace_id, userIds: [person.id] })
}

/** Ends somebody's work in an inbox: what they had there, they hand back, also where they still take part. */
export async function removeInboxMember(
  chat: Chat,
  actor: Actor,
  { inboxId, userId }: InputOf<'inboxMember.remove'>,
): Promise<void> {
  await change(chat, async (change) => {
    const { db, announce } = change
    const removed = await db
      .deleteFrom('inbox_member')
      .where('workspace_id', '=', actor.workspaceId)
      .where('inbox_id', '=', inboxId)
      .where('person_id', '=', userId)
      .returning('role')
      .executeTakeFirstOrThrow(notFound)
    await touch(db, actor.workspaceId, userId)
    await handBack(change, actor, userId, { inboxId })
    await audit(db, actor, {
      action: 'inboxMember.remove',
      targetType: 'inbox',
      targetId: inboxId,
      before: { userId, role: removed.role },
    })
    announce({ type: 'access', workspaceId: actor.workspaceId, userIds: [userId] })
  })
}

/** Held until the end of the transaction, so that nobody is put into an inbox while leaving the team. */
async function requireTeam(db: Db, workspaceId: string, userId: string): Promise<void> {
  const person = await db
    .selectFrom('person')
    .select('role')
    .where('workspace_id', '=', workspaceId)
    .where('id', '=', userId)
    .where('deactivated_at', 'is', null)
    .forShare()
    .executeTakeFirst()
  if (!person || !isStaff(person)) throw notFound()
}

async function membersOf(
  db: Db,
  workspaceId: string,
  inboxId: string,
  userId?: string,
): Promise<InboxMember[]> {
  const rows = await db
    .selectFrom('inbox_member as m')
    .innerJoin('person as p', (join) =>
      join.onRef('p.workspace_id', '=', 'm.workspace_id').onRef('p.id', '=', 'm.person_id'),
    )
    .select(['p.id', 'p.name', 'm.role', 'm.added_at'])
    .where('m.workspace_id', '=', workspaceId)
    .where('m.inbox_id', '=', inboxId)
    .$if(userId !== undefined, (query) => query.where('m.person_id', '=', userId ?? ''))
    .orderBy('p.name')
    .orderBy('p.id')
    .execute()
  return rows.map((row) => ({ userId: row.id, name: row.name, role: row.role, addedAt: row.added_at }))
}

/** The person’s lists are others now: the sweep of every node and a list cursor find it by this (SPEC R12). */
export async function touch(db: Db, workspaceId: string, userId: string): Promise<void> {
  await db
    .updateTable('person')
    .set({ changed_xid: sql`pg_current_xact_id()` })
    .where('workspace_id', '=', workspaceId)
    .where('id', '=', userId)
    .execute()
}

/** Where somebody works. */
export async function inboxIdsOf(db: Db, workspaceId: string, userId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('inbox_member')
    .select('inbox_id')
    .where('workspace_id', '=', workspaceId)
    .where('person_id', '=', userId)
    .execute()
  return rows.map((row) => row.inbox_id)
}

/** Whoever is no longer of the team works nowhere. */
export async function leaveInboxes(db: Db, workspaceId: string, userId: string): Promise<void> {
  await db
    .deleteFrom('inbox_member')
    .where('workspace_id', '=', workspaceId)
    .where('person_id', '=', userId)
    .execute()
}
