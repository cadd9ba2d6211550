import { randomUUIDv7 } from 'node:crypto'
import type { InputOf, Invitation, ResultOf } from '@parley/protocol'
import { type Selectable, sql } from 'kysely'
import type { Db, Tables } from '../store/store.ts'
import { type Actor, isAdmin, mayGrant } from './actor.ts'
import { audit } from './audit.ts'
import { type Chat, change } from './chat.ts'
import { Failure, notFound } from './failure.ts'
import { hashToken, makeToken } from './tokens.ts'

export type InvitationRow = Selectable<Tables['invitation']>
type InvitedRole = InvitationRow['role']

/** Invites somebody to a role below my own; a supervisor, into inboxes of their own. The token is shown once. */
export async function createInvitation(
  chat: Chat,
  actor: Actor,
  { email, role, inboxIds = [], hours }: InputOf<'invitation.create'>,
): Promise<ResultOf<'invitation.create'>> {
  if (!mayGrant(actor, role)) throw new Failure('forbidden')
  return change(chat, async ({ db }) => {
    await requireInboxes(db, actor, inboxIds)
    const { row, token } = await writeInvitation(db, {
      workspaceId: actor.workspaceId,
      email,
      role,
      inboxIds,
      hours,
      createdBy: actor.userId,
    })
    await audit(db, actor, {
      action: 'invitation.create',
      targetType: 'invitation',
      targetId: row.id,
      after: { email: row.email, role, inboxIds, expiresAt: row.expires_at },
    })
    // Behind the `#`, the token stays in the browser: it is in no request line and no log.
    return {
      invitation: viewInvitation(row),
      token,
      url: `${chat.config.publicUrl ?? ''}/desk#invite=${token}`,
    }
  })
}

async function requireInboxes(db: Db, actor: Actor, inboxIds: readonly string[]): Promise<void> {
  if (inboxIds.length === 0) return
  if (!isAdmin(actor) && inboxIds.some((id) => !actor.inboxIds.includes(id))) throw notFound()
  const found = await db
    .selectFrom('inbox')
    .select('id')
    .where('workspace_id', '=', actor.workspaceId)
    .where('id', 'in', inboxIds)
    .execute()
  if (found.length < new Set(inboxIds).size) throw notFound()
}

type NewInvitation = {
  workspaceId: string
  role: InvitedRole
  createdBy: string | null
  email?: string
  inboxIds?: string[]
  hours?: number
}

/** Stores an invitation and gives its token away: what is kept is only the hash. */
export async function writeInvitation(
  db: Db,
  { workspaceId, role, createdBy, email, inboxIds = [], hours = 72 }: NewInvitation,
): Promise<{ row: InvitationRow; token: string }> {
  const token = makeToken()
  const row = await db
    .insertInto('invitation')
    .values({
      workspace_id: workspaceId,
      id: randomUUIDv7(),
      email: email ?? null,
      role,
      inbox_ids: [...new Set(inboxIds)],
      token_hash: hashToken(token),
      created_by: createdBy,
      expires_at: sql<string>`now() + make_interval(hours => ${hours})`,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  return { row, token }
}

/** Invitations that are still open: a supervisor's own; all of them for admins. */
export async function listInvitations(chat: Chat, actor: Actor): Promise<ResultOf<'invitation.list'>> {
  const rows = await open(chat.db, actor).orderBy('id', 'desc').execute()
  return { invitations: rows.map(viewInvitation) }
}

export async function revokeInvitation(
  chat: Chat,
  actor: Actor,
  { invitationId }: InputOf<'invitation.revoke'>,
): Promise<void> {
  await change(chat, async ({ db }) => {
    const row = await open(db, actor)
      .where('id', '=', invitationId)
      .forUpdate()
      .executeTakeFirstOrThrow(notFound)
    if (!mayGrant(actor, row.role)) throw new Failure('forbidden')
    await db
      .updateTable('invitation')
      .set({ revoked_at: sql`now()` })
      .where('workspace_id', '=', actor.workspaceId)
      .where('id', '=', invitationId)
      .execute()
    await audit(db, actor, {
      action: 'invitation.revoke',
      targetType: 'invitation',
      targetId: invitationId,
      before: { email: row.email, role: row.role },
    })
  })
}

const open = (db: Db, actor: Actor) =>
  db
    .selectFrom('invitation')
    .selectAll()
    .where('workspace_id', '=', actor.workspaceId)
    .where('accepted_at', 'is', null)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', sql<string>`now()`)
    .$if(!isAdmin(actor), (query) => query.where('created_by', '=', actor.userId))

/** The open invitation of a token, in its own workspace. */
export async function findInvitation(
  db: Db,
  workspaceId: string,
  token: string,
): Promise<InvitationRow | undefined> {
  return db
    .selectFrom('invitation')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where('token_hash', '=', hashToken(token))
    .where('accepted_at', 'is', null)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', sql<string>`now()`)
    .executeTakeFirst()
}

/** Uses an invitation up. False when it is not open any more: of two who come at once, one was first. */
export async function acceptInvitation(
  db: Db,
  { workspace_id, id }: InvitationRow,
  userId: string,
): Promise<boolean> {
  const accepted = await db
    .updateTable('invitation')
    .set({ accepted_at: sql`now()`, accepted_by: userId })
    .where('workspace_id', '=', workspace_id)
    .where('id', '=', id)
    .where('accepted_at', 'is', null)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', sql<string>`now()`)
    .returning('id')
    .executeTakeFirst()
  return accepted !== undefined
}

/** Takes back what somebody invited to, when their own standing changes. */
export async function revokeInvitationsOf(db: Db, workspaceId: string, userId: string): Promise<void> {
  await db
    .updateTable('invitation')
    .set({ revoked_at: sql`now()` })
    .where('workspace_id', '=', workspaceId)
    .where('created_by', '=', userId)
    .where('accepted_at', 'is', null)
    .where('revoked_at', 'is', null)
    .execute()
}

const viewInvitation = (row: InvitationRow): Invitation => ({
  id: row.id,
  email: row.email,
  role: row.role,
  inboxIds: row.inbox_ids,
  expiresAt: row.expires_at,
  acceptedAt: row.accepted_at,
})
