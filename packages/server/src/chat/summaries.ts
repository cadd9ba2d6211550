import type {
  Conversation,
  ConversationKind,
  ConversationPage,
  ConversationSummary,
  InputOf,
  Message,
  Receipt,
} from '@parley/protocol'
import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { type ConversationRow, conversationColumns } from './access.ts'
import { type Actor, isAdmin, isStaff } from './actor.ts'
import type { Chat } from './chat.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { notFound } from './failure.ts'
import { type ShownRow, shownColumns, viewMessages } from './message-view.ts'

/** Conversations the actor may see, newest activity first, each as the actor sees it. */
export async function listConversations(
  chat: Chat,
  actor: Actor,
  input: InputOf<'conversation.list'>,
): Promise<ConversationPage> {
  const limit = input.limit ?? 50
  const cursor = await resumeCursor(chat)
  const conditions = [visibleTo(actor), ...filters(actor, input)]
  if (input.page) {
    const [span, updatedAt, id] = decodeCursor(input.page, ['instant', 'instant', 'id'])
    conditions.push(
      sql`(c.updated_span, c.updated_at, c.id) < (${span}::timestamptz, ${updatedAt}::timestamptz, ${id}::uuid)`,
    )
  }
  const found = await summarise(chat.db, actor, conditions, limit + 1)
  const conversations = found.slice(0, limit)
  const last = conversations.at(-1)
  const nextPage = found.length > limit && last ? encodeCursor(last.place) : null
  return { conversations: conversations.map(({ summary }) => summary), nextPage, cursor }
}

/**
 * The same by number: page 1 holds the newest activity. For doors that count pages and say how many there are; they know
 * the people by other names and show no last line, so neither is looked up.
 */
export async function pageOfConversations(
  chat: Chat,
  actor: Actor,
  { page, limit, ...input }: Omit<InputOf<'conversation.list'>, 'page'> & { page: number; limit: number },
): Promise<{ conversations: Pick<ConversationSummary, 'conversation' | 'unread'>[]; total: number }> {
  const conditions = [visibleTo(actor), ...filters(actor, input)]
  const [counted, found] = await Promise.all([
    sql<{ total: number }>`
      select count(*)::int as total from conversation c where ${sql.join(conditions, sql` and `)}`.execute(
      chat.db,
    ),
    rowsOf(chat.db, actor, conditions, limit, (page - 1) * limit),
  ])
  return {
    conversations: found.map((row) => ({ conversation: viewConversation(row), unread: row.unread })),
    total: counted.rows[0]?.total ?? 0,
  }
}

/** One conversation as the actor sees it. */
export async function getConversation(
  chat: Chat,
  actor: Actor,
  { conversationId }: InputOf<'conversation.get'>,
): Promise<ConversationSummary> {
  const [found] = await summarise(chat.db, actor, [visibleTo(actor), sql`c.id = ${conversationId}`], 1)
  if (!found) throw notFound()
  return found.summary
}

/** What changed for the actor since a list cursor, or why that cannot be told. */
export type Changes =
  | { outcome: 'changes'; summaries: ConversationSummary[]; lost: string[] }
  | { outcome: 'reset'; reason: 'epoch' | 'too_old' | 'access' }

const mostChanges = 500

/**
 * Everything of the actor's lists that was written by a transaction the cursor had not seen. Transaction ids with the
 * snapshot horizon, because sequences and timestamps become visible out of order and would skip rows (design §2.6).
 */
export async function changesSince(chat: Chat, actor: Actor, cursor: string): Promise<Changes> {
  const [epoch, horizon] = decodeCursor(cursor, ['id', 'horizon'])
  if (epoch !== chat.store.epoch) return { outcome: 'reset', reason: 'epoch' }
  if (await accessChanged(chat.db, actor, horizon)) return { outcome: 'reset', reason: 'access' }
  const touched = sql`c.id = any (array(
    select id from conversation where workspace_id = ${actor.workspaceId} and ${changedSince(horizon)}
    union
    select conversation_id from receipt where workspace_id = ${actor.workspaceId} and ${changedSince(horizon)}
      and person_id = ${actor.userId}))`
  const found = await summarise(chat.db, actor, [visibleTo(actor), touched], mostChanges + 1)
  if (found.length > mostChanges) return { outcome: 'reset', reason: 'too_old' }
  const lost = await sql<{ id: string }>`
    select c.id from conversation c
    left join participant p on p.workspace_id = c.workspace_id and p.conversation_id = c.id and p.person_id = ${actor.userId}
    where c.workspace_id = ${actor.workspaceId} and ${changedSince(horizon, 'c')}
      and (p.left_at is not null or (c.deleted_at is not null and (p.person_id is not null or ${worksIn(actor)})))
      and not (c.deleted_at is null and ${worksIn(actor)})
  `.execute(chat.db)
  return {
    outcome: 'changes',
    summaries: found.map(({ summary }) => summary),
    lost: lost.rows.map((row) => row.id),
  }
}

/** Conversations or receipts that a transaction from `horizon` on has changed: the index knows spans of transactions. */
export function changedSince(horizon: string, of?: 'c' | 'r'): RawBuilder<boolean> {
  const column = (name: string) => sql.ref(of ? `${of}.${name}` : name)
  return sql<boolean>`(${column('changed_span')} >= span_of(${horizon}::xid8) and ${column('changed_xid')} >= ${horizon}::xid8)`
}

/** Another role or other inboxes: the lists are different ones now, not changed ones. */
async function accessChanged(db: Db, actor: Actor, horizon: string): Promise<boolean> {
  const row = await db
    .selectFrom('person')
    .select('id')
    .where('workspace_id', '=', actor.workspaceId)
    .where('id', '=', actor.userId)
    .where(sql<boolean>`changed_xid >= ${horizon}::xid8`)
    .executeTakeFirst()
  return row !== undefined
}

/** A position in all lists at once: everything committed before it is in what was read after it was taken. */
export async function resumeCursor(chat: Pick<Chat, 'db' | 'store'>): Promise<string> {
  const { rows } = await sql<{
    horizon: string
  }>`select pg_snapshot_xmin(pg_current_snapshot())::text as horizon`.execute(chat.db)
  return cursorAt(chat, rows[0]?.horizon ?? '0')
}

export const cursorAt = (chat: Pick<Chat, 'store'>, horizon: string) =>
  encodeCursor([chat.store.epoch, horizon])

/** How many messages wait for the actor in conversations they take part in, or only in `active` ones, or those of a kind. */
export async function countUnread(
  chat: Chat,
  actor: Actor,
  { active = false, kind }: { active?: boolean; kind?: ConversationKind } = {},
): Promise<{ messages: number; conversations: number }> {
  const { rows } = await sql<{ messages: number; conversations: number }>`
    select coalesce(sum(unread), 0)::int as messages, count(*) filter (where unread > 0)::int as conversations
    from (
      select ${unread(actor)} as unread
      from participant p
      join conversation c on c.workspace_id = p.workspace_id and c.id = p.conversation_id and c.deleted_at is null
        ${active ? sql`and c.status not in ('closed', 'archived')` : sql``} ${kind ? sql`and c.kind = ${kind}` : sql``}
      left join receipt r on r.workspace_id = c.workspace_id and r.conversation_id = c.id and r.person_id = p.person_id
      where p.workspace_id = ${actor.workspaceId} and p.person_id = ${actor.userId} and p.left_at is null
    ) as counted`.execute(chat.db)
  return rows[0] ?? { messages: 0, conversations: 0 }
}

/** The rule of `standingOf`, for sets: a conversation `c` that the actor may see. */
export function visibleTo(actor: Actor): RawBuilder<unknown> {
  return sql`c.workspace_id = ${actor.workspaceId} and c.deleted_at is null and (${worksIn(actor)} or ${participates(actor)})`
}

function worksIn(actor: Actor): RawBuilder<unknown> {
  if (isAdmin(actor)) return sql`true`
  if (!isStaff(actor) || actor.inboxIds.length === 0) return sql`false`
  return sql`c.inbox_id = any (${actor.inboxIds}::uuid[])`
}

/** The rule of `worksIn` in `access.ts`, for a conversation `c`. */
function seesNotes(actor: Actor): RawBuilder<boolean> {
  if (isAdmin(actor)) return sql`true`
  if (!isStaff(actor)) return sql`false`
  return sql`(${worksIn(actor)} or exists (select 1 from participant mine where mine.workspace_id = c.workspace_id
    and mine.conversation_id = c.id and mine.person_id = ${actor.userId} and mine.left_at is null and mine.role = 'agent'))`
}

/** As a list of ids first: that is what an index can find, while a correlated test would visit every conversation. */
const participates = (actor: Actor) => sql`c.id = any (array(
  select mine.conversation_id from participant mine
  where mine.workspace_id = ${actor.workspaceId} and mine.person_id = ${actor.userId} and mine.left_at is null))`

function filters(actor: Actor, input: InputOf<'conversation.list'>): RawBuilder<unknown>[] {
  const conditions: RawBuilder<unknown>[] = []
  if (input.view === 'mine') conditions.push(sql`c.assignee_id = ${actor.userId}`)
  if (input.view === 'unassigned') conditions.push(sql`c.assignee_id is null and c.kind = 'support'`)
  if (input.view === 'participating') conditions.push(participates(actor))
  if (input.inboxId) conditions.push(sql`c.inbox_id = ${input.inboxId}`)
  if (input.status === 'active') conditions.push(sql`c.status not in ('closed', 'archived')`)
  else if (input.status) conditions.push(sql`c.status = ${input.status}`)
  if (input.contactId) {
    conditions.push(sql`exists (select 1 from participant q where q.workspace_id = c.workspace_id
      and q.conversation_id = c.id and q.person_id = ${input.contactId} and q.left_at is null)`)
  }
  return conditions
}

/**
 * Messages by others above the read mark, less those read out of order: a subtraction of ordinals, so that five
 * thousand unread cost what five do. Needs `c` and `r` (the actor's receipt, or nothing) in scope.
 */
export function unread(actor: Actor): RawBuilder<number> {
  const notes = seesNotes(actor)
  const total = sql`c.message_count + case when ${notes} then c.note_count else 0 end`
  const ordinal = sql`m.ordinal + case when ${notes} then m.note_ordinal else 0 end`
  const countable = sql`m.kind <> 'system' and (m.visibility = 'everyone' or ${notes})`
  const above = sql`m.workspace_id = c.workspace_id and m.conversation_id = c.id and m.seq > coalesce(r.read_seq, 0)`
  return sql<number>`case when c.last_seq <= r.read_seq then 0 else (
    ${total}
    - coalesce((select ${ordinal} from message m where m.workspace_id = c.workspace_id and m.conversation_id = c.id
        and m.seq <= r.read_seq order by m.seq desc limit 1), 0)
    - (select count(*) from message m where ${above} and m.sender_id = ${actor.userId} and ${countable})
    - (select count(*) from message m where ${above} and m.retracted_at is not null
        and m.sender_id is distinct from ${actor.userId} and ${countable})
    - (select count(*) from receipt_range x join message m on m.workspace_id = x.workspace_id
        and m.conversation_id = x.conversation_id and m.seq > x.from_seq and m.seq <= x.to_seq
        where x.workspace_id = c.workspace_id and x.conversation_id = c.id and x.person_id = ${actor.userId}
          and x.kind = 'read' and x.to_seq > r.read_seq and m.seq > r.read_seq and ${countable}
          and m.retracted_at is null and m.sender_id is distinct from ${actor.userId})
  )::int end`
}

type SummaryRow = ConversationRow & {
  unread: number
  sees_notes: boolean
  exact_updated_span: string
  exact_updated_at: string
  receipt: Receipt | null
}

/** The order of every list of conversations `c`: by spans, in which the index has them, and exactly within each. */
export const newestFirst = sql`c.updated_span desc, c.updated_at desc, c.id desc`

/**
 * A page of conversations: receipt and unread of each in one statement, then who takes part in all of them beside the
 * last visible line of each. As subqueries that make JSON of each row the latter two were four fifths of a list of 200.
 */
async function summarise(
  db: Db,
  actor: Actor,
  conditions: RawBuilder<unknown>[],
  limit: number,
): Promise<{ summary: ConversationSummary; place: [span: string, updatedAt: string, id: string] }[]> {
  const rows = await rowsOf(db, actor, conditions, limit)
  const [participants, lastMessages] = await Promise.all([participantsOf(db, rows), lastMessagesOf(db, rows)])
  return rows.map((row) => ({
    place: [row.exact_updated_span, row.exact_updated_at, row.id],
    summary: {
      conversation: viewConversation(row),
      participants: participants.get(row.id) ?? [],
      lastMessage: lastMessages.get(row.id) ?? null,
      unread: row.unread,
      receipt: row.receipt,
    },
  }))
}

async function rowsOf(
  db: Db,
  actor: Actor,
  conditions: RawBuilder<unknown>[],
  limit: number,
  offset = 0,
): Promise<SummaryRow[]> {
  const { rows } = await sql<SummaryRow>`
    with page as materialized (
      select c.* from conversation c where ${sql.join(conditions, sql` and `)}
      order by ${newestFirst} limit ${limit} offset ${offset}
    )
    select ${conversationColumns}, c.updated_span::text as exact_updated_span, c.updated_at::text as exact_updated_at, ${unread(actor)} as unread,
      ${seesNotes(actor)} as sees_notes, ${receiptOf('r', 'c')} as receipt
    from page c
    left join receipt r on r.workspace_id = c.workspace_id and r.conversation_id = c.id and r.person_id = ${actor.userId}
    order by ${newestFirst}`.execute(db)
  return rows
}

const participantsShown = 20

async function participantsOf(
  db: Db,
  conversations: readonly ConversationRow[],
): Promise<Map<string, ConversationSummary['participants']>> {
  const [first] = conversations
  if (!first) return new Map()
  const { rows } = await sql<{ conversationId: string } & ConversationSummary['participants'][number]>`
    select q.conversation_id as "conversationId", q.person_id as "userId", s.name, s.avatar_url as "avatarUrl", q.role,
      q.joined_at as "joinedAt", q.left_at as "leftAt"
    from (
      select q.*, row_number() over (partition by q.conversation_id order by q.joined_at, q.person_id) as place
      from participant q where q.workspace_id = ${first.workspace_id}
        and q.conversation_id = any (${conversations.map((row) => row.id)}::uuid[]) and q.left_at is null
    ) q
    join person s on s.workspace_id = q.workspace_id and s.id = q.person_id
    where q.place <= ${participantsShown}
    order by q.place`.execute(db)
  return new Map(
    [...Map.groupBy(rows, (row) => row.conversationId)].map(([id, ofOne]) => [
      id,
      ofOne.map(({ conversationId: _theirs, ...participant }) => participant),
    ]),
  )
}

/**
 * Up to the position that the row says: a message written since belongs to a later summary. Nearly always it is among
 * the last entries; an index that is asked for the newest of all reads a whole page of them (25 µs instead of 5).
 */
async function lastMessagesOf(db: Db, conversations: readonly SummaryRow[]): Promise<Map<string, Message>> {
  const [first] = conversations
  if (!first) return new Map()
  const newest = (among: RawBuilder<unknown>) => sql`(
    select ${shownColumns} from message m
    where m.workspace_id = ${first.workspace_id} and m.conversation_id = k.id and ${among}
      and (m.visibility = 'everyone' or k.sees_notes)
    order by m.seq desc limit 1)`
  const { rows } = await sql<ShownRow>`
    select m.* from unnest(${conversations.map((row) => row.id)}::uuid[], ${conversations.map((row) => row.last_seq)}::int[],
      ${conversations.map((row) => row.sees_notes)}::bool[]) as k (id, last_seq, sees_notes)
    left join lateral ${newest(sql`m.seq between k.last_seq - 4 and k.last_seq`)} near on true
    cross join lateral (
      select near.* where near.id is not null
      union all
      select * from ${newest(sql`m.seq < k.last_seq - 4`)} far where near.id is null) m`.execute(db)
  return new Map((await viewMessages(db, rows)).map((message) => [message.conversationId, message]))
}

export function viewConversation(row: ConversationRow): Conversation {
  return {
    id: row.id,
    kind: row.kind,
    inboxId: row.inbox_id,
    topic: row.topic,
    status: row.status,
    subject: row.subject,
    priority: row.priority,
    metadata: row.metadata,
    assigneeId: row.assignee_id,
    createdBy: row.created_by,
    grantRequired: row.grant_required,
    lastSeq: row.last_seq,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    closedAt: row.closed_at,
  }
}

/** A receipt as JSON, with the ranges read out of order; null when there is none. */
export function receiptOf(receipt: string, conversation: string): RawBuilder<Receipt | null> {
  const r = sql.raw(receipt)
  const c = sql.raw(conversation)
  return sql<Receipt | null>`case when ${r}.person_id is null then null else jsonb_build_object(
    'userId', ${r}.person_id, 'delivered', ${r}.delivered_seq, 'read', ${r}.read_seq,
    'deliveredAt', ${instant(`${receipt}.delivered_at`)}, 'readAt', ${instant(`${receipt}.read_at`)},
    'allReadAt', ${instant(`${receipt}.all_read_at`)},
    'readBeyond', (select coalesce(jsonb_agg(jsonb_build_array(x.from_seq + 1, x.to_seq) order by x.to_seq), '[]')
      from receipt_range x where x.workspace_id = ${c}.workspace_id
        and x.conversation_id = ${receipt === conversation ? sql`${c}.conversation_id` : sql`${c}.id`}
        and x.person_id = ${r}.person_id and x.kind = 'read' and x.to_seq > ${r}.read_seq)) end`
}

/** An instant inside JSON, in the form that the driver gives everywhere else. */
const instant = (column: string) =>
  sql`to_char(${sql.raw(column)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
