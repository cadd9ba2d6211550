import type { ConversationStatus, ConversationSummary, InputOf } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { type ConversationRow, requireStaff, type Standing, standingOf } from './access.ts'
import type { Actor } from './actor.ts'
import { type Change, type Chat, change } from './chat.ts'
import { Failure, notFound } from './failure.ts'
import { handBack } from './handing-back.ts'
import { record } from './log.ts'
import { admit, expel, membersOf } from './participants.ts'
import { getConversation } from './summaries.ts'

/** Gives a conversation to somebody of the team who can work in it, or to nobody. */
export async function assignConversation(
  chat: Chat,
  actor: Actor,
  { conversationId, userId }: InputOf<'conversation.assign'>,
): Promise<ConversationSummary> {
  await change(chat, async (change) => {
    const standing = await requireStaff(change.db, actor, conversationId)
    if (userId !== null && userId !== standing.conversation.assignee_id) {
      await requireAssignable(change.db, actor, standing, userId)
    }
    await setAssignee(change, actor, standing, userId)
  })
  return getConversation(chat, actor, { conversationId })
}

/** Assigns to oneself, if nobody has it. The row lock decides a race; the loser is told who was first. */
export async function takeConversation(
  chat: Chat,
  actor: Actor,
  { conversationId }: InputOf<'conversation.take'>,
): Promise<ConversationSummary> {
  await change(chat, async (change) => {
    const standing = await requireStaff(change.db, actor, conversationId)
    const holder = standing.conversation.assignee_id
    if (holder !== null && holder !== actor.userId) throw new Failure('already_taken', { assigneeId: holder })
    if (holder === null) await requireAssignable(change.db, actor, standing, actor.userId)
    await setAssignee(change, actor, standing, actor.userId)
  })
  return getConversation(chat, actor, { conversationId })
}

/**
 * Names who shall answer, and leaves the status as it is until they come (`takeConversation`). Whoever had it before is
 * out: they take part no more.
 */
export async function handOverConversation(
  chat: Chat,
  actor: Actor,
  { conversationId, userId }: { conversationId: string; userId: string },
): Promise<void> {
  await change(chat, async (change) => {
    const standing = await requireStaff(change.db, actor, conversationId)
    const { status, assignee_id: holder } = standing.conversation
    if (status === 'closed' || status === 'archived') throw new Failure('wrong_state')
    if (holder === userId) return
    await requireAssignable(change.db, actor, standing, userId)
    await apply(change, actor, conversationId, { status, assigneeId: userId })
    if (holder !== null) await expel(change, actor, conversationId, holder)
  })
}

/** What a door may ask beyond the API: to close only what is as it expects, else `wrong_state`. */
export type ClosingRules = { onlyIf?: (conversation: ConversationRow) => boolean }

/** Closes: the team, or the contact who opened it. Closing a closed one changes nothing. */
export async function closeConversation(
  chat: Chat,
  actor: Actor,
  { conversationId }: InputOf<'conversation.close'>,
  { onlyIf }: ClosingRules = {},
): Promise<ConversationSummary> {
  await change(chat, async (change) => {
    const standing = await standingOf(change.db, actor, conversationId, { lock: true })
    if (onlyIf && !onlyIf(standing.conversation)) throw new Failure('wrong_state')
    if (!standing.staff && standing.conversation.created_by !== actor.userId) throw new Failure('forbidden')
    if (standing.conversation.status === 'archived') throw new Failure('wrong_state')
    await setStatus(change, actor, standing, 'closed')
  })
  return getConversation(chat, actor, { conversationId })
}

/**
 * Ends somebody's part in a conversation: a direct one ends for both, another when nobody else of the team remains in
 * it; else only the actor leaves. For the team. A conversation that has ended is not there any more.
 */
export async function concludeConversation(
  chat: Chat,
  actor: Actor,
  { conversationId }: { conversationId: string },
): Promise<'left' | 'closed'> {
  return change(chat, async (change) => {
    const standing = await requireStaff(change.db, actor, conversationId)
    const { kind, status } = standing.conversation
    if (status === 'closed' || status === 'archived') throw notFound()
    const members =
      (await membersOf(change.db, actor.workspaceId, [conversationId])).get(conversationId) ?? []
    const colleagues = members.filter(({ userId, role }) => role === 'agent' && userId !== actor.userId)
    if (kind !== 'direct' && standing.participant && colleagues.length > 0) {
      await expel(change, actor, conversationId, actor.userId)
      return 'left'
    }
    await setStatus(change, actor, standing, 'closed')
    return 'closed'
  })
}

/** Opens a closed, snoozed or archived conversation again, with its assignee if it had one who can still be it. */
export async function reopenConversation(
  chat: Chat,
  actor: Actor,
  { conversationId }: InputOf<'conversation.reopen'>,
): Promise<ConversationSummary> {
  await change(chat, async (change) => {
    const standing = await requireStaff(change.db, actor, conversationId)
    await reopen(change, actor, standing)
  })
  return getConversation(chat, actor, { conversationId })
}

/** Puts a conversation away: it can be read, not written to. */
export async function archiveConversation(
  chat: Chat,
  actor: Actor,
  { conversationId }: InputOf<'conversation.archive'>,
): Promise<ConversationSummary> {
  await change(chat, async (change) => {
    await setStatus(change, actor, await requireStaff(change.db, actor, conversationId), 'archived')
  })
  return getConversation(chat, actor, { conversationId })
}

/** A message to a conversation that was closed not long ago opens it again. Says whether it did. */
export async function reopenForMessage(
  chat: Chat,
  actor: Actor,
  conversationId: string,
  { always = false }: { always?: boolean } = {},
): Promise<boolean> {
  return change(chat, async (change) => {
    const standing = await standingOf(change.db, actor, conversationId, { lock: true })
    const { status, closed_at, inbox_id } = standing.conversation
    if (status !== 'closed') return true
    if (!always && !(await closedRecently(change.db, actor, inbox_id, closed_at))) return false
    await reopen(change, actor, standing)
    return true
  })
}

async function closedRecently(
  db: Db,
  actor: Actor,
  inboxId: string | null,
  closedAt: string | null,
): Promise<boolean> {
  if (inboxId === null || closedAt === null) return false
  const recent = await db
    .selectFrom('inbox')
    .select('id')
    .where('workspace_id', '=', actor.workspaceId)
    .where('id', '=', inboxId)
    .where(sql<boolean>`${closedAt}::timestamptz > now() - make_interval(hours => reopen_hours)`)
    .executeTakeFirst()
  return recent !== undefined
}

/**
 * Refuses whoever may not be given a conversation. They stay as they are until the transaction ends: whoever switches them
 * off meanwhile waits, and finds what they were given to hand back. A statement of its own, as one that waits and then looks
 * would not see what they waited for.
 */
async function requireAssignable(db: Db, actor: Actor, standing: Standing, userId: string): Promise<void> {
  await db
    .selectFrom('person')
    .select('id')
    .where('workspace_id', '=', actor.workspaceId)
    .where('id', '=', userId)
    .forShare()
    .execute()
  if (!(await isAssignable(db, standing.conversation, userId))) throw notFound()
}

/** Somebody active, of the team, who works in this inbox or everywhere, or takes part. */
async function isAssignable(
  db: Db,
  { workspace_id, id, inbox_id }: ConversationRow,
  userId: string,
): Promise<boolean> {
  const { rows } = await sql`
    select 1 from person s where s.workspace_id = ${workspace_id} and s.id = ${userId} and s.deactivated_at is null
      and (s.role in ('owner', 'admin') or (s.role in ('supervisor', 'agent') and (
        exists (select 1 from inbox_member m where m.workspace_id = s.workspace_id and m.person_id = s.id and m.inbox_id = ${inbox_id})
        or exists (select 1 from participant p where p.workspace_id = s.workspace_id and p.person_id = s.id
          and p.conversation_id = ${id} and p.left_at is null))))`.execute(db)
  return rows.length > 0
}

async function setAssignee(
  change: Change,
  actor: Actor,
  { conversation }: Standing,
  userId: string | null,
): Promise<void> {
  if (conversation.status === 'closed' || conversation.status === 'archived') throw new Failure('wrong_state')
  if (userId !== null) await admit(change, actor, conversation.id, { userId, role: 'agent' })
  const status = userId === null ? 'open' : 'assigned'
  if (conversation.assignee_id === userId && conversation.status === status) return
  await apply(change, actor, conversation.id, { assigneeId: userId, status })
}

async function setStatus(
  change: Change,
  actor: Actor,
  { conversation }: Standing,
  status: ConversationStatus,
): Promise<void> {
  if (conversation.status === status) return
  await apply(change, actor, conversation.id, { status })
}

async function reopen(change: Change, actor: Actor, { conversation }: Standing): Promise<void> {
  const status = statusWhenOpen(conversation)
  if (status === conversation.status) return
  await apply(change, actor, conversation.id, { status })
  await handBackOfAbsent(change, actor, conversation)
}

/** What is open again does not wait for somebody who can no longer be given it. */
export async function handBackOfAbsent(
  change: Change,
  actor: Actor,
  conversation: ConversationRow,
): Promise<void> {
  const { id, assignee_id: holder } = conversation
  if (holder === null || (await isAssignable(change.db, conversation, holder))) return
  await handBack(change, actor, holder, { conversationId: id })
}

/** Open or assigned; what is either already stays as it is. */
export function statusWhenOpen({ status, assignee_id }: ConversationRow): ConversationStatus {
  if (status === 'open' || status === 'assigned') return status
  return assignee_id ? 'assigned' : 'open'
}

type StatusChange = { status: ConversationStatus; assigneeId?: string | null }

async function apply(change: Change, actor: Actor, conversationId: string, to: StatusChange): Promise<void> {
  const closedAt = await writeStatus(change.db, { workspaceId: actor.workspaceId, id: conversationId }, to)
  await record(
    change,
    { workspaceId: actor.workspaceId, id: conversationId },
    { type: 'conversation.updated', actorId: actor.userId, changes: { ...to, closedAt } },
  )
}

/** Writes a status and says since when the conversation is closed; logging it is the caller's. */
export async function writeStatus(
  db: Db,
  conversation: { workspaceId: string; id: string },
  to: StatusChange,
): Promise<string | null> {
  const closes = to.status === 'closed' || to.status === 'archived'
  try {
    const written = await db
      .updateTable('conversation')
      .set({
        status: to.status,
        ...(to.assigneeId !== undefined && { assignee_id: to.assigneeId }),
        closed_at: closes ? sql`coalesce(closed_at, date_trunc('milliseconds', now()))` : null,
      })
      .where('workspace_id', '=', conversation.workspaceId)
      .where('id', '=', conversation.id)
      .returning('closed_at')
      .executeTakeFirstOrThrow()
    return written.closed_at
  } catch (error) {
    // conversation_exclusive: another active one has taken the place meanwhile.
    if (error instanceof Error && 'code' in error && error.code === '23505')
      throw new Failure('conversation_exists')
    throw error
  }
}
