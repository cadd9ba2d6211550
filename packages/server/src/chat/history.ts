import type { InputOf, Message, ResultOf } from '@parley/protocol'
import type { Db } from '../store/store.ts'
import { type Standing, standingOf } from './access.ts'
import type { Actor } from './actor.ts'
import type { Chat } from './chat.ts'
import { invalid, notFound } from './failure.ts'
import { readLog } from './log.ts'
import { type MessageRow, viewMessage, viewMessages } from './message-view.ts'

/** A page of messages by position, ascending: the newest, those before a seq, or those after one. */
export async function listMessages(
  chat: Chat,
  actor: Actor,
  { conversationId, before, after, limit = 50 }: InputOf<'message.list'>,
): Promise<ResultOf<'message.list'>> {
  if (before !== undefined && after !== undefined)
    throw invalid('after', 'Give `before` or `after`, not both')
  const { conversation, sees } = await standingOf(chat.db, actor, conversationId)
  const rows = await chat.db
    .selectFrom('message')
    .selectAll()
    .where('workspace_id', '=', actor.workspaceId)
    .where('conversation_id', '=', conversationId)
    .$if(sees === 'everyone', (query) => query.where('visibility', '=', 'everyone'))
    .$if(before !== undefined, (query) => query.where('seq', '<', before ?? 0))
    .$if(after !== undefined, (query) => query.where('seq', '>', after ?? 0))
    .orderBy('seq', after === undefined ? 'desc' : 'asc')
    .limit(limit + 1)
    .execute()
  const page = rows.slice(0, limit)
  if (after === undefined) page.reverse()
  return {
    messages: await viewMessages(chat.db, page),
    lastSeq: conversation.last_seq,
    hasMore: rows.length > limit,
  }
}

/**
 * A page by number, ascending: page 1 holds the newest. For doors that count pages; notes are not among them. Messages
 * carry their ordinal, which is never above their seq and never behind it by more than there are other entries: so the
 * page is a short range of the log, however deep it lies.
 */
export async function pageOfMessages(
  chat: Chat,
  actor: Actor,
  { conversationId, page, limit }: { conversationId: string; page: number; limit: number },
): Promise<{ messages: Message[]; total: number; standing: Standing }> {
  const standing = await standingOf(chat.db, actor, conversationId)
  const { message_count: total, last_seq: lastSeq } = standing.conversation
  const to = total - (page - 1) * limit
  if (to <= 0) return { messages: [], total, standing }
  const from = Math.max(0, to - limit)
  const rows = await chat.db
    .selectFrom('message')
    .selectAll()
    .where('workspace_id', '=', actor.workspaceId)
    .where('conversation_id', '=', conversationId)
    .where('visibility', '=', 'everyone')
    .where('kind', '<>', 'system')
    .where('seq', '>', from)
    .where('seq', '<=', to + (lastSeq - total))
    .where('ordinal', '>', from)
    .where('ordinal', '<=', to)
    .orderBy('seq')
    .execute()
  return { messages: await viewMessages(chat.db, rows), total, standing }
}

/** One message, for somebody who may see it. */
export async function getMessage(
  chat: Chat,
  actor: Actor,
  { messageId }: InputOf<'message.get'>,
): Promise<Message> {
  const { row } = await findMessage(chat.db, actor, messageId)
  return viewMessage(chat.db, row)
}

/** Earlier texts of an edited message, oldest first, for the team. */
export async function listRevisions(
  chat: Chat,
  actor: Actor,
  { messageId }: InputOf<'message.revisions'>,
): Promise<ResultOf<'message.revisions'>> {
  const { row, standing } = await findMessage(chat.db, actor, messageId)
  if (!standing.staff) throw notFound()
  const revisions = await chat.db
    .selectFrom('message_revision')
    .select(['body', 'created_at as at', 'actor_id as actorId'])
    .where('workspace_id', '=', actor.workspaceId)
    .where('conversation_id', '=', row.conversation_id)
    .where('seq', '=', row.seq)
    .orderBy('revision')
    .execute()
  return { revisions }
}

/** The log after a position, as the live connection tells it, without what the actor may not see. */
export async function listLog(
  chat: Chat,
  actor: Actor,
  { conversationId, after, limit = 200 }: InputOf<'log.list'>,
): Promise<ResultOf<'log.list'>> {
  const { sees } = await standingOf(chat.db, actor, conversationId)
  const page = await readLog(chat.db, { workspaceId: actor.workspaceId, id: conversationId }, after, limit)
  const events = page.entries.filter((entry) => sees === 'agents' || entry.visibility === 'everyone')
  return { events: events.map((entry) => entry.event), lastSeq: page.lastSeq, upTo: page.upTo }
}

/** The row of a message that the actor may see, and how they stand to its conversation. */
export async function findMessage(
  db: Db,
  actor: Actor,
  messageId: string,
  options: { lock?: boolean } = {},
): Promise<{ row: MessageRow; standing: Standing }> {
  const found = await db
    .selectFrom('message')
    .select('conversation_id')
    .where('workspace_id', '=', actor.workspaceId)
    .where('id', '=', messageId)
    .executeTakeFirstOrThrow(notFound)
  const standing = await standingOf(db, actor, found.conversation_id, options)
  // Read again under the lock: what was found before it may have been edited or retracted while we waited.
  const row = await db
    .selectFrom('message')
    .selectAll()
    .where('workspace_id', '=', actor.workspaceId)
    .where('id', '=', messageId)
    .executeTakeFirstOrThrow(notFound)
  if (row.visibility === 'agents' && standing.sees === 'everyone') throw notFound()
  return { row, standing }
}
