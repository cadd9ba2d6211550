import { randomUUIDv7 } from 'node:crypto'
import type { ConversationStatus, ConversationSummary, InputOf } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { type Standing, standingOf } from './access.ts'
import { type Actor, isStaff, participantRoleOf } from './actor.ts'
import { audit } from './audit.ts'
import { type Change, type Chat, change } from './chat.ts'
import { Failure, invalid, notFound } from './failure.ts'
import { record } from './log.ts'
import { metadataText } from './messages.ts'
import { admit } from './participants.ts'
import { getConversation } from './summaries.ts'

/** What a door may ask beyond the API: another thing to be one of, and people who need no grant for each other. */
export type OpeningRules = { exclusiveKey?: string; strangersWelcome?: boolean }

/**
 * Opens a conversation. With a `clientKey`, opening twice finds the first; where an active one holds the exclusive key
 * already (a direct pair), the answer is `conversation_exists` with its id.
 */
export async function createConversation(
  chat: Chat,
  actor: Actor,
  input: InputOf<'conversation.create'>,
  rules: OpeningRules = {},
): Promise<ConversationSummary> {
  const id = randomUUIDv7()
  const conversationId = await change(chat, async (change) => {
    const people = await peopleOf(change.db, actor, input, rules)
    const exclusiveKey = rules.exclusiveKey ?? pairKey(actor, input)
    const created = await change.db
      .insertInto('conversation')
      .values({
        workspace_id: actor.workspaceId,
        id,
        kind: input.kind,
        inbox_id: await inboxOf(change.db, actor, input),
        topic: input.topic ?? (input.kind === 'support' ? 'SUPPORT' : 'GENERAL'),
        subject: input.subject ?? '',
        priority: isStaff(actor) ? (input.priority ?? 0) : 0,
        metadata: input.metadata && metadataText(input.metadata),
        created_by: actor.userId,
        exclusive_key: exclusiveKey,
        client_key: input.clientKey ?? null,
        grant_required:
          input.grantRequired ?? (input.kind !== 'support' && !isStaff(actor) && !rules.strangersWelcome),
      })
      .onConflict((conflict) => conflict.doNothing())
      .returning('id')
      .executeTakeFirst()
    if (!created) return existing(change.db, actor, input.clientKey, exclusiveKey)
    const conversation = { workspaceId: actor.workspaceId, id }
    await record(change, conversation, { type: 'conversation.created', actorId: actor.userId })
    for (const person of people) await admit(change, actor, id, person)
    return id
  })
  return getConversation(chat, actor, { conversationId })
}

/** Changes what a conversation is about. Topic and priority are the team's; metadata merges, null removes a key. */
export async function updateConversation(
  chat: Chat,
  actor: Actor,
  { conversationId, ...given }: InputOf<'conversation.update'>,
): Promise<ConversationSummary> {
  await change(chat, async (change) => {
    const { conversation, staff } = await standingOf(change.db, actor, conversationId, { lock: true })
    if (!staff && (given.topic !== undefined || given.priority !== undefined)) throw new Failure('forbidden')
    const metadata = given.metadata && merged(conversation.metadata, given.metadata)
    const changes = {
      ...(given.subject !== undefined &&
        given.subject !== conversation.subject && { subject: given.subject }),
      ...(given.topic !== undefined && given.topic !== conversation.topic && { topic: given.topic }),
      ...(given.priority !== undefined &&
        given.priority !== conversation.priority && { priority: given.priority }),
    }
    if (Object.keys(changes).length === 0 && !metadata) return
    await change.db
      .updateTable('conversation')
      .set({ ...changes, ...(metadata && { metadata: metadataText(metadata) }) })
      .where('workspace_id', '=', actor.workspaceId)
      .where('id', '=', conversationId)
      .execute()
    await record(
      change,
      { workspaceId: actor.workspaceId, id: conversationId },
      {
        type: 'conversation.updated',
        actorId: actor.userId,
        changes: { ...changes, ...(metadata && { metadata }) },
      },
    )
  })
  return getConversation(chat, actor, { conversationId })
}

/** Gives a conversation to somebody of the team who can work in it, or to nobody. */
export async function assignConversation(
  chat: Chat,
  actor: Actor,
  { conversationId, userId }: InputOf<'conversation.assign'>,
): Promise<ConversationSummary> {
  await change(chat, async (change) => {
    const standing = await requireStaff(change.db, actor, conversationId)
    if (userId !== null) await requireAssignable(change.db, actor, standing, userId)
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
    await setAssignee(change, actor, standing, actor.userId)
  })
  return getConversation(chat, actor, { conversationId })
}

/** Closes: the team, or the contact who opened it. Closing a closed one changes nothing. */
export async function closeConversation(
  chat: Chat,
  actor: Actor,
  { conversationId }: InputOf<'conversation.close'>,
): Promise<ConversationSummary> {
  await change(chat, async (change) => {
    const standing = await standingOf(change.db, actor, conversationId, { lock: true })
    if (!standing.staff && standing.conversation.created_by !== actor.userId) throw new Failure('forbidden')
    if (standing.conversation.status === 'archived') throw new Failure('wrong_state')
    await setStatus(change, actor, standing, 'closed')
  })
  return getConversation(chat, actor, { conversationId })
}

/** Opens a closed, snoozed or archived conversation again, with its assignee if it had one. */
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

/** Deletes for all: content is emptied, the numbering stays, and nobody finds it again. */
export async function deleteConversation(
  chat: Chat,
  actor: Actor,
  { conversationId }: InputOf<'conversation.delete'>,
): Promise<void> {
  await change(chat, async (change) => {
    const { conversation } = await requireStaff(change.db, actor, conversationId)
    const here = { workspace_id: actor.workspaceId, conversation_id: conversationId }
    await record(
      change,
      { workspaceId: actor.workspaceId, id: conversationId },
      { type: 'conversation.deleted', actorId: actor.userId },
    )
    await sql`update message set body = '', metadata = null, retracted_at = coalesce(retracted_at, clock_timestamp())
      where workspace_id = ${here.workspace_id} and conversation_id = ${here.conversation_id}`.execute(
      change.db,
    )
    await sql`update message_revision set body = ''
      where workspace_id = ${here.workspace_id} and conversation_id = ${here.conversation_id}`.execute(
      change.db,
    )
    await change.db
      .updateTable('conversation')
      .set({ deleted_at: sql`now()`, subject: '', metadata: '{}' })
      .where('workspace_id', '=', actor.workspaceId)
      .where('id', '=', conversationId)
      .execute()
    await audit(change.db, actor, {
      action: 'conversation.delete',
      targetType: 'conversation',
      targetId: conversationId,
      before: { status: conversation.status, lastSeq: conversation.last_seq },
    })
  })
}

/** A message to a conversation that was closed not long ago opens it again. Says whether it did. */
export async function reopenForMessage(chat: Chat, actor: Actor, conversationId: string): Promise<boolean> {
  return change(chat, async (change) => {
    const standing = await standingOf(change.db, actor, conversationId, { lock: true })
    const { status, closed_at, inbox_id } = standing.conversation
    if (status !== 'closed') return true
    if (inbox_id === null || closed_at === null) return false
    const recent = await change.db
      .selectFrom('inbox')
      .select('id')
      .where('workspace_id', '=', actor.workspaceId)
      .where('id', '=', inbox_id)
      .where(sql<boolean>`${closed_at}::timestamptz > now() - make_interval(hours => reopen_hours)`)
      .executeTakeFirst()
    if (!recent) return false
    await reopen(change, actor, standing)
    return true
  })
}

type Newcomer = { userId: string; role: 'contact' | 'agent' | 'bot' }

/** Who will be in it: the opener and whoever is named, each of whom must be somebody the opener may write to. */
async function peopleOf(
  db: Db,
  actor: Actor,
  input: InputOf<'conversation.create'>,
  rules: OpeningRules,
): Promise<Newcomer[]> {
  const opener: Newcomer = { userId: actor.userId, role: participantRoleOf(actor.role) }
  const named = new Set([...(input.participantIds ?? []), ...(input.contactId ? [input.contactId] : [])])
  named.delete(actor.userId)
  if (input.kind === 'direct' && named.size !== 1)
    throw invalid('participantIds', 'A direct conversation has exactly one other person')
  if (input.kind === 'support' && named.size > 0 && !isStaff(actor) && !rules.strangersWelcome)
    throw new Failure('forbidden')
  if (named.size === 0) return [opener]
  const found = await db
    .selectFrom('person')
    .select(['id', 'role'])
    .where('workspace_id', '=', actor.workspaceId)
    .where('id', 'in', [...named])
    .where('deactivated_at', 'is', null)
    .execute()
  if (found.length !== named.size) throw notFound()
  if (!isStaff(actor) && !rules.strangersWelcome) {
    for (const person of found) await requireGrant(db, actor, person.id)
  }
  return [opener, ...found.map((person) => ({ userId: person.id, role: participantRoleOf(person.role) }))]
}

async function requireGrant(db: Db, actor: Actor, userId: string): Promise<void> {
  const [a, b] = [actor.userId, userId].sort()
  const grant = await db
    .selectFrom('access_grant')
    .select('id')
    .where('workspace_id', '=', actor.workspaceId)
    .where('person_a', '=', a ?? '')
    .where('person_b', '=', b ?? '')
    .where('ended_at', 'is', null)
    .where(
      sql<boolean>`'write' = any (scopes) and coalesce(starts_at, '-infinity') <= now() and coalesce(ends_at, 'infinity') > now()`,
    )
    .executeTakeFirst()
  // The same answer for a stranger and for nobody: ids must not be found out here.
  if (!grant) throw notFound()
}

/** Of two people there is at most one active direct conversation. */
function pairKey(actor: Actor, input: InputOf<'conversation.create'>): string | null {
  if (input.kind !== 'direct') return null
  const other = [...(input.participantIds ?? []), input.contactId].find((id) => id && id !== actor.userId)
  return `direct:${[actor.userId, other].sort().join(':')}`
}

/** A visitor writes to the inbox of the widget; others name one, and need not when there is only one. */
async function inboxOf(db: Db, actor: Actor, input: InputOf<'conversation.create'>): Promise<string | null> {
  if (input.kind !== 'support') {
    if (input.inboxId) throw invalid('inboxId', 'Only a support conversation has an inbox')
    return null
  }
  if (actor.visitorInboxId) {
    if (input.inboxId && input.inboxId !== actor.visitorInboxId) throw notFound()
    return actor.visitorInboxId
  }
  const inboxes = await db
    .selectFrom('inbox')
    .select(['id', 'identity_required'])
    .where('workspace_id', '=', actor.workspaceId)
    .$if(input.inboxId !== undefined, (query) => query.where('id', '=', input.inboxId ?? ''))
    .limit(2)
    .execute()
  const [inbox, another] = inboxes
  if (!inbox) throw input.inboxId ? notFound() : invalid('inboxId', 'There is no inbox yet')
  if (another) throw invalid('inboxId', 'Name the inbox')
  if (inbox.identity_required && !actor.verified) throw new Failure('unauthenticated')
  return inbox.id
}

async function existing(
  db: Db,
  actor: Actor,
  clientKey: string | undefined,
  exclusiveKey: string | null,
): Promise<string> {
  if (clientKey !== undefined) {
    const same = await db
      .selectFrom('conversation')
      .select('id')
      .where('workspace_id', '=', actor.workspaceId)
      .where('created_by', '=', actor.userId)
      .where('client_key', '=', clientKey)
      .executeTakeFirst()
    if (same) return same.id
  }
  const other = await db
    .selectFrom('conversation')
    .select('id')
    .where('workspace_id', '=', actor.workspaceId)
    .where('exclusive_key', '=', exclusiveKey)
    .where('deleted_at', 'is', null)
    .where('status', 'not in', ['closed', 'archived'])
    .executeTakeFirst()
  throw new Failure('conversation_exists', { conversationId: other?.id })
}

function merged(old: Record<string, unknown>, given: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries({ ...old, ...given }).filter(([, value]) => value !== null))
}

async function requireStaff(db: Db, actor: Actor, conversationId: string): Promise<Standing> {
  const standing = await standingOf(db, actor, conversationId, { lock: true })
  if (!standing.staff) throw new Failure('forbidden')
  return standing
}

/** Somebody active, of the team, who works in this inbox or everywhere. */
async function requireAssignable(
  db: Db,
  actor: Actor,
  { conversation }: Standing,
  userId: string,
): Promise<void> {
  const { rows } = await sql`
    select 1 from person s where s.workspace_id = ${actor.workspaceId} and s.id = ${userId} and s.deactivated_at is null
      and (s.role in ('owner', 'admin') or (s.role in ('supervisor', 'agent') and (
        exists (select 1 from inbox_member m where m.workspace_id = s.workspace_id and m.person_id = s.id and m.inbox_id = ${conversation.inbox_id})
        or exists (select 1 from participant p where p.workspace_id = s.workspace_id and p.person_id = s.id
          and p.conversation_id = ${conversation.id} and p.left_at is null))))`.execute(db)
  if (rows.length === 0) throw notFound()
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
  if (conversation.status === 'open' || conversation.status === 'assigned') return
  try {
    await apply(change, actor, conversation.id, { status: conversation.assignee_id ? 'assigned' : 'open' })
  } catch (error) {
    // conversation_exclusive: another active one has taken the place meanwhile.
    if (error instanceof Error && 'code' in error && error.code === '23505')
      throw new Failure('conversation_exists')
    throw error
  }
}

type StatusChange = { status: ConversationStatus; assigneeId?: string | null }

async function apply(change: Change, actor: Actor, conversationId: string, to: StatusChange): Promise<void> {
  const closes = to.status === 'closed' || to.status === 'archived'
  const { closed_at: closedAt } = await change.db
    .updateTable('conversation')
    .set({
      status: to.status,
      ...(to.assigneeId !== undefined && { assignee_id: to.assigneeId }),
      closed_at: closes ? sql`coalesce(closed_at, date_trunc('milliseconds', now()))` : null,
    })
    .where('workspace_id', '=', actor.workspaceId)
    .where('id', '=', conversationId)
    .returning('closed_at')
    .executeTakeFirstOrThrow()
  await record(
    change,
    { workspaceId: actor.workspaceId, id: conversationId },
    { type: 'conversation.updated', actorId: actor.userId, changes: { ...to, closedAt } },
  )
}
