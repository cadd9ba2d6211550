import { randomUUIDv7 } from 'node:crypto'
import type { ConversationSummary, InputOf } from '@parley/protocol'
import type { Db } from '../store/store.ts'
import { type ConversationRow, requireStaff, requireWritable, standingOf } from './access.ts'
import { type Actor, isStaff, participantRoleOf } from './actor.ts'
import { audit } from './audit.ts'
import { type Chat, change } from './chat.ts'
import { handBackOfAbsent, statusWhenOpen, writeStatus } from './conversation-states.ts'
import { eraseConversation } from './erasure.ts'
import { Failure, invalid, notFound } from './failure.ts'
import { hasGrant, requireGrant } from './grants.ts'
import { record } from './log.ts'
import { metadataText } from './metadata.ts'
import { admit } from './participants.ts'
import { getConversation } from './summaries.ts'
import { requireFewConversations } from './visitor-limits.ts'

/** What a door may ask beyond the API: another thing to be one of, and people who need no grant for each other. */
export type OpeningRules = { exclusiveKey?: string; strangersWelcome?: boolean; firstInbox?: boolean }

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
        inbox_id: await inboxOf(change.db, actor, input, rules),
        topic: input.topic ?? (input.kind === 'support' ? 'SUPPORT' : 'GENERAL'),
        subject: input.subject ?? '',
        priority: isStaff(actor) ? (input.priority ?? 0) : 0,
        metadata: input.metadata && metadataText(input.metadata),
        created_by: actor.userId,
        exclusive_key: exclusiveKey,
        client_key: input.clientKey ?? null,
        grant_required: grantRequiredOf(actor, input, rules),
      })
      .onConflict((conflict) => conflict.doNothing())
      .returning('id')
      .executeTakeFirst()
    if (!created) return existing(change.db, actor, input.clientKey, exclusiveKey)
    const conversation = { workspaceId: actor.workspaceId, id }
    await record(change, conversation, { type: 'conversation.created', actorId: actor.userId })
    for (const person of people) await admit(change, actor, id, person)
    await requireFewConversations(change.db, actor)
    return id
  })
  return getConversation(chat, actor, { conversationId })
}

/**
 * What a door may ask beyond the API: a status that whoever takes part sets outright, together with the rest; and that
 * null in metadata is a value like others.
 */
export type UpdatingRules = { status?: 'active' | 'closed' | 'archived'; keepsNulls?: boolean }

/** Changes what a conversation is about. Topic and priority are the team's; metadata merges, null removes a key. */
export async function updateConversation(
  chat: Chat,
  actor: Actor,
  { conversationId, ...given }: InputOf<'conversation.update'>,
  rules: UpdatingRules = {},
): Promise<ConversationSummary> {
  await change(chat, async (change) => {
    const { conversation, staff } = await standingOf(change.db, actor, conversationId, { lock: true })
    if (!staff && (given.topic !== undefined || given.priority !== undefined)) throw new Failure('forbidden')
    // A subject is as good as a message for whoever may no longer write one.
    if (!staff) await requireGrant(change.db, actor, conversationId, 'write')
    const metadata = given.metadata && merged(conversation.metadata, given.metadata, rules)
    const changes = {
      ...(given.subject !== undefined &&
        given.subject !== conversation.subject && { subject: given.subject }),
      ...(given.topic !== undefined && given.topic !== conversation.topic && { topic: given.topic }),
      ...(given.priority !== undefined &&
        given.priority !== conversation.priority && { priority: given.priority }),
    }
    const hasContent = Object.keys(changes).length > 0 || metadata !== undefined
    const status = wantedStatus(conversation, rules)
    if (!hasContent && !status) return
    if (!status) requireWritable({ conversation })
    const here = { workspaceId: actor.workspaceId, id: conversationId }
    const closedAt = status && (await writeStatus(change.db, here, { status }))
    if (hasContent) {
      await change.db
        .updateTable('conversation')
        .set({ ...changes, ...(metadata && { metadata: metadataText(metadata) }) })
        .where('workspace_id', '=', actor.workspaceId)
        .where('id', '=', conversationId)
        .execute()
    }
    await record(change, here, {
      type: 'conversation.updated',
      actorId: actor.userId,
      changes: { ...changes, ...(metadata && { metadata }), ...(status && { status, closedAt }) },
    })
    if (status) await handBackOfAbsent(change, actor, conversation)
  })
  return getConversation(chat, actor, { conversationId })
}

/** The status to write, or nothing where the conversation has it already. */
function wantedStatus(conversation: ConversationRow, { status }: UpdatingRules) {
  const wanted = status === 'active' ? statusWhenOpen(conversation) : status
  return wanted === conversation.status ? undefined : wanted
}

/** Deletes for all: content is erased, the numbering stays, and nobody finds it again. */
export async function deleteConversation(
  chat: Chat,
  actor: Actor,
  { conversationId }: InputOf<'conversation.delete'>,
): Promise<void> {
  await change(chat, async (change) => {
    const { conversation } = await requireStaff(change.db, actor, conversationId)
    const here = { workspaceId: actor.workspaceId, id: conversationId }
    await record(change, here, { type: 'conversation.deleted', actorId: actor.userId })
    await eraseConversation(change.db, here)
    await audit(change.db, actor, {
      action: 'conversation.delete',
      targetType: 'conversation',
      targetId: conversationId,
      before: { status: conversation.status, lastSeq: conversation.last_seq },
    })
  })
}

/** Whether a grant is needed is the team's to say: among others one is, wherever they are not strangers by the door's rules. */
function grantRequiredOf(
  actor: Actor,
  { kind, grantRequired }: InputOf<'conversation.create'>,
  { strangersWelcome = false }: OpeningRules,
): boolean {
  if (isStaff(actor)) return grantRequired ?? false
  const usual = kind !== 'support' && !strangersWelcome
  if (usual && grantRequired === false) throw new Failure('forbidden')
  return grantRequired ?? usual
}

type Newcomer = { userId: string; role: 'contact' | 'agent' | 'bot' }

/** Who will be in it: the opener and whoever is named, in that order; each must be somebody the opener may write to. */
async function peopleOf(
  db: Db,
  actor: Actor,
  input: InputOf<'conversation.create'>,
  rules: OpeningRules,
): Promise<Newcomer[]> {
  // A widget is for talking to its inbox.
  if (actor.visitorInboxId && input.kind !== 'support') throw new Failure('forbidden')
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
    for (const person of found) {
      // The same answer for a stranger and for nobody: ids must not be found out here.
      if (!(await hasGrant(db, actor, person.id, 'write'))) throw notFound()
    }
  }
  const roles = new Map(found.map(({ id, role }) => [id, participantRoleOf(role)]))
  const newcomers = [...named].flatMap((userId) => {
    const role = roles.get(userId)
    return role ? [{ userId, role }] : []
  })
  return [opener, ...newcomers]
}

/** Of two people there is at most one active direct conversation. */
function pairKey(actor: Actor, input: InputOf<'conversation.create'>): string | null {
  if (input.kind !== 'direct') return null
  const other = [...(input.participantIds ?? []), input.contactId].find((id) => id && id !== actor.userId)
  return `direct:${[actor.userId, other].sort().join(':')}`
}

/** A visitor writes to the inbox of the widget; others name one, and need not when there is only one. */
async function inboxOf(
  db: Db,
  actor: Actor,
  input: InputOf<'conversation.create'>,
  { firstInbox = false }: OpeningRules,
): Promise<string | null> {
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
    .orderBy('created_at')
    .orderBy('id')
    .limit(firstInbox ? 1 : 2)
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

function merged(
  old: Record<string, unknown>,
  given: Record<string, unknown>,
  { keepsNulls = false }: UpdatingRules,
): Record<string, unknown> {
  if (keepsNulls) return { ...old, ...given }
  return Object.fromEntries(Object.entries({ ...old, ...given }).filter(([, value]) => value !== null))
}
