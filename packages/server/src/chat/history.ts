import type { InputOf, Message, ResultOf } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { type Standing, standingOf } from './access.ts'
import type { Actor } from './actor.ts'
import type { Chat } from './chat.ts'
import { invalid, notFound } from './failure.ts'
import { readLog } from './log.ts'
import { type MessageRow, type ShownRow, shownColumns, viewMessage, viewMessages } from './message-view.ts'
import type { Ranges } from './ranges.ts'

/**
 * A page of messages by position, ascending: the newest, those before a seq, or those after one. For doors that do not
 * know notes, `without` them: pages are full then, and end only where the messages do.
 */
export async function listMessages(
  chat: Chat,
  actor: Actor,
  { conversationId, before, after, limit = 50 }: InputOf<'message.list'>,
  { without }: { without?: 'notes' } = {},
): Promise<ResultOf<'message.list'>> {
  if (before !== undefined && after !== undefined)
    throw invalid('after', 'Give `before` or `after`, not both')
  const { conversation, sees } = await standingOf(chat.db, actor, conversationId)
  const notes = sees === 'agents' && without !== 'notes'
  const range = sql`select ${shownColumns} from message m where workspace_id = ${actor.workspaceId}
    and conversation_id = ${conversationId} and seq > ${after ?? 0} and seq < ${before ?? beyondAll}
    and (visibility = 'everyone' or ${notes}) order by seq`
  const { rows } = await (after === undefined
    ? sql<ShownRow>`/* messages_before */ ${range} desc limit ${limit + 1}`
    : sql<ShownRow>`/* messages_after */ ${range} limit ${limit + 1}`
  ).execute(chat.db)
  const page = rows.slice(0, limit)
  if (after === undefined) page.reverse()
  return {
    messages: await viewMessages(chat.db, page),
    lastSeq: conversation.last_seq,
    hasMore: rows.length > limit,
  }
}

/** The largest number that the column holds. */
const beyondAll = 2_147_483_647

/** Which page, or how many of the newest lie before it. */
type PageOrOffset = { page: number } | { offset: number }

/**
 * A page by number, ascending: page 1 holds the newest. For doors that count pages; notes are not among them. Messages
 * carry their ordinal, which is never above their seq and never behind it by more than there are other entries: so the
 * page is a short range of the log, however deep it lies.
 */
export async function pageOfMessages(
  chat: Chat,
  actor: Actor,
  { conversationId, limit, ...where }: { conversationId: string; limit: number } & PageOrOffset,
): Promise<{ messages: Message[]; total: number; standing: Standing }> {
  const standing = await standingOf(chat.db, actor, conversationId)
  const { message_count: total, last_seq: lastSeq } = standing.conversation
  const to = total - ('page' in where ? (where.page - 1) * limit : where.offset)
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

/**
 * A page by number of what lies between two messages, ascending: counted from the newest, or onwards from `afterId`.
 * An id that is none of this conversation bounds nothing. Notes are not among them.
 */
export async function pageBetween(
  chat: Chat,
  actor: Actor,
  between: { conversationId: string; beforeId?: string; afterId?: string; page: number; limit: number },
): Promise<{ messages: Message[]; total: number }> {
  const { conversationId, page, limit } = between
  await standingOf(chat.db, actor, conversationId)
  const here = { workspaceId: actor.workspaceId, id: conversationId }
  const seqs = await seqsOf(chat.db, here, [between.beforeId, between.afterId])
  const before = seqs.get(between.beforeId ?? '')
  const after = seqs.get(between.afterId ?? '')
  const found = chat.db
    .selectFrom('message')
    .where('workspace_id', '=', actor.workspaceId)
    .where('conversation_id', '=', conversationId)
    .where('visibility', '=', 'everyone')
    .$if(before !== undefined, (query) => query.where('seq', '<', before ?? 0))
    .$if(after !== undefined, (query) => query.where('seq', '>', after ?? 0))
  const counted = await found
    .select((column) => column.fn.countAll<string>().as('count'))
    .executeTakeFirstOrThrow()
  const rows = await found
    .selectAll()
    .orderBy('seq', after === undefined ? 'desc' : 'asc')
    .limit(limit)
    .offset((page - 1) * limit)
    .execute()
  if (after === undefined) rows.reverse()
  return { messages: await viewMessages(chat.db, rows), total: Number(counted.count) }
}

async function seqsOf(
  db: Db,
  conversation: { workspaceId: string; id: string },
  messageIds: readonly (string | undefined)[],
): Promise<Map<string, number>> {
  const wanted = messageIds.filter((id) => id !== undefined)
  if (wanted.length === 0) return new Map()
  const rows = await db
    .selectFrom('message')
    .select(['id', 'seq'])
    .where('workspace_id', '=', conversation.workspaceId)
    .where('conversation_id', '=', conversation.id)
    .where('id', 'in', wanted)
    .where('visibility', '=', 'everyone')
    .execute()
  return new Map(rows.map((row) => [row.id, row.seq]))
}

/** The newest message at these positions that somebody else wrote for everyone. The caller has checked who asks. */
export async function newestByOthers(
  db: Db,
  conversation: { workspaceId: string; id: string },
  userId: string,
  ranges: Ranges,
): Promise<{ id: string; seq: number } | undefined> {
  const within = sql<boolean>`exists (
    select 1 from unnest(${ranges.map(([from]) => from)}::int[], ${ranges.map(([, to]) => to)}::int[]) as x (f, t)
    where message.seq between x.f and x.t)`
  return db
    .selectFrom('message')
    .select(['id', 'seq'])
    .where('workspace_id', '=', conversation.workspaceId)
    .where('conversation_id', '=', conversation.id)
    .where('visibility', '=', 'everyone')
    .where('sender_id', 'is distinct from', userId)
    .where('seq', '>=', ranges[0]?.[0] ?? 0)
    .where('seq', '<=', ranges.at(-1)?.[1] ?? 0)
    .where(within)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/** What somebody wrote for everyone at these positions, the newest of them first. The caller has checked who asks. */
export async function writtenWithin(
  db: Db,
  conversation: { workspaceId: string; id: string },
  { senderId, ranges, limit }: { senderId: string; ranges: Ranges; limit: number },
): Promise<string[]> {
  const rows = await db
    .selectFrom('message')
    .select('id')
    .where('workspace_id', '=', conversation.workspaceId)
    .where('conversation_id', '=', conversation.id)
    .where('visibility', '=', 'everyone')
    .where('kind', '<>', 'system')
    .where('sender_id', '=', senderId)
    .where((column) => column.or(ranges.map(([from, to]) => column.between('seq', from, to))))
    .orderBy('seq', 'desc')
    .limit(limit)
    .execute()
  return rows.map((row) => row.id)
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

/** The id of the message at a position, or null. For doors that name messages by where they stand; who asks is checked next. */
export async function messageAt(
  db: Db,
  workspaceId: string,
  conversationId: string,
  seq: number,
): Promise<string | null> {
  const row = await db
    .selectFrom('message')
    .select('id')
    .where('workspace_id', '=', workspaceId)
    .where('conversation_id', '=', conversationId)
    .where('seq', '=', seq)
    .executeTakeFirst()
  return row?.id ?? null
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
