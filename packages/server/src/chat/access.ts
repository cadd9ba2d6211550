import type { Visibility } from '@parley/protocol'
import type { Selectable } from 'kysely'
import type { Db, Tables } from '../store/store.ts'
import { type Actor, isAdmin, isStaff } from './actor.ts'
import { Failure, notFound } from './failure.ts'

export type ConversationRow = Selectable<Tables['conversation']>
export type ParticipantRow = Selectable<Tables['participant']>

/** How somebody stands to one conversation. Having one means that they may read it. */
export type Standing = {
  conversation: ConversationRow
  /** Present only while they take part. */
  participant: ParticipantRow | null
  /** They may act for the team here: assign, close, write notes. */
  staff: boolean
  /** Which entries they see. */
  sees: Visibility
}

/**
 * The one rule of who may see a conversation: whoever takes part in it, the team of its inbox, and admins. Everybody
 * else is told that there is nothing here, whether or not there is (promise G21). Ids are handles, never permissions.
 * With `lock`, the conversation stays as it is until the transaction ends.
 */
export async function standingOf(
  db: Db,
  actor: Actor,
  conversationId: string,
  { lock = false }: { lock?: boolean } = {},
): Promise<Standing> {
  const conversation = await db
    .selectFrom('conversation')
    .selectAll()
    .where('workspace_id', '=', actor.workspaceId)
    .where('id', '=', conversationId)
    .where('deleted_at', 'is', null)
    .$if(lock, (query) => query.forNoKeyUpdate())
    .executeTakeFirst()
  if (!conversation) throw notFound()
  const participant =
    (await db
      .selectFrom('participant')
      .selectAll()
      .where('workspace_id', '=', actor.workspaceId)
      .where('conversation_id', '=', conversationId)
      .where('person_id', '=', actor.userId)
      .where('left_at', 'is', null)
      .executeTakeFirst()) ?? null
  const staff = worksIn(actor, conversation.inbox_id, participant)
  if (!participant && !staff) throw notFound()
  return { conversation, participant, staff, sees: staff ? 'agents' : 'everyone' }
}

/** The same for an act of the team: whoever may only see the conversation is told that this is not theirs to do. */
export async function requireStaff(db: Db, actor: Actor, conversationId: string): Promise<Standing> {
  const standing = await standingOf(db, actor, conversationId, { lock: true })
  if (!standing.staff) throw new Failure('forbidden')
  return standing
}

/** Whether there is such a conversation at all, for doors that have to tell "not yours" from "not there". */
export async function isConversation(db: Db, workspaceId: string, conversationId: string): Promise<boolean> {
  const found = await db
    .selectFrom('conversation')
    .select('id')
    .where('workspace_id', '=', workspaceId)
    .where('id', '=', conversationId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  return found !== undefined
}

/** Admins everywhere; the rest of the team in their inboxes and wherever they were brought in as agents. */
function worksIn(actor: Actor, inboxId: string | null, participant: ParticipantRow | null): boolean {
  if (!isStaff(actor)) return false
  if (isAdmin(actor) || participant?.role === 'agent') return true
  return inboxId !== null && actor.inboxIds.includes(inboxId)
}

/** Who opened a conversation, for a door where knowing its secret name is the proof of being them. */
export async function openerOf(db: Db, workspaceId: string, conversationId: string): Promise<string> {
  const row = await db
    .selectFrom('conversation')
    .select('created_by')
    .where('workspace_id', '=', workspaceId)
    .where('id', '=', conversationId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  if (!row?.created_by) throw notFound()
  return row.created_by
}
