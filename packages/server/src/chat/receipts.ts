import type { InputOf, Receipt, ResultOf } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { type Standing, standingOf } from './access.ts'
import type { Actor } from './actor.ts'
import { type Change, type Chat, change } from './chat.ts'
import { notFound } from './failure.ts'
import { without } from './ranges.ts'
import { receiptOf, unread } from './summaries.ts'

/** No single messages, as PostgreSQL writes ranges. */
const none = '{}'

/** Moves the actor's own marks forward. Marks only grow, whatever order requests arrive in (promise G7). */
export async function moveReceipt(
  chat: Chat,
  actor: Actor,
  { conversationId, delivered = 0, read = 0 }: InputOf<'receipt.move'>,
): Promise<Receipt> {
  return change(chat, async (change) => {
    const standing = await standingOf(change.db, actor, conversationId)
    return move(change, actor, standing, { delivered, read, messages: none })
  })
}

/** Marks single messages read, in any order. One that is not of this conversation refuses them all. */
export async function markMessagesRead(
  chat: Chat,
  actor: Actor,
  { conversationId, messageIds }: InputOf<'receipt.markRead'>,
): Promise<Receipt> {
  return change(chat, async (change) => {
    const standing = await standingOf(change.db, actor, conversationId)
    const places = await placesOf(change.db, actor, messageIds)
    if (places.some((place) => place.conversation_id !== conversationId)) throw notFound()
    return moveOver(change, actor, standing, places[0])
  })
}

/** Marks messages read wherever they are, in any order. One that the actor may not see refuses them all. */
export async function markRead(chat: Chat, actor: Actor, messageIds: readonly string[]): Promise<void> {
  await change(chat, async (change) => {
    for (const found of await placesOf(change.db, actor, messageIds)) {
      await moveOver(change, actor, await standingOf(change.db, actor, found.conversation_id), found)
    }
  })
}

async function moveOver(
  change: Change,
  actor: Actor,
  standing: Standing,
  found: Places | undefined,
): Promise<Receipt> {
  if (standing.sees === 'everyone' && found?.has_notes) throw notFound()
  return move(change, actor, standing, { delivered: 0, read: 0, messages: found?.by_others ?? none })
}

/** Where messages of one conversation stand: those by others as ranges of positions, as PostgreSQL writes them. */
type Places = { conversation_id: string; count: number; has_notes: boolean; by_others: string }

/**
 * Where messages stand, by conversation. One that is not there refuses them all. Thousands at once are mostly a run of one
 * conversation, and reading that takes a third of the time of as many look-ups (4,200: 5 ms instead of 15).
 */
async function placesOf(db: Db, actor: Actor, messageIds: readonly string[]): Promise<Places[]> {
  if (messageIds.length === 0) return []
  for (const messages of [runOf, oneByOne]) {
    const { rows } = await sql<Places>`
      select m.conversation_id, count(*)::int as count, bool_or(m.visibility = 'agents') as has_notes,
        coalesce(range_agg(int4range(m.seq, m.seq, '[]')) filter (where m.sender_id is distinct from ${actor.userId}), '{}')::text
          as by_others
      from ${messages(actor, messageIds)} group by m.conversation_id order by m.conversation_id`.execute(db)
    if (rows.reduce((sum, { count }) => sum + count, 0) === messageIds.length) return rows
  }
  throw notFound()
}

/** Those that stand in the conversation of the oldest, after it: ids grow with time. */
const runOf = (actor: Actor, ids: readonly string[]) => sql`
  message oldest cross join lateral (
    select * from message m
    where m.workspace_id = oldest.workspace_id and m.conversation_id = oldest.conversation_id and m.seq >= oldest.seq
    order by m.seq limit ${2 * ids.length}) m
  join unnest(${listOf(ids)}::uuid[]) as k (id) on k.id = m.id
    and oldest.workspace_id = ${actor.workspaceId} and oldest.id = ${oldestOf(ids)}`

/** Of thousands of ids the planner thinks that reading the whole table is cheaper. */
const oneByOne = (actor: Actor, ids: readonly string[]) => sql`
  unnest(${listOf(ids)}::uuid[]) as k (id) cross join lateral (
    select * from message m where m.workspace_id = ${actor.workspaceId} and m.id = k.id limit 1) m`

const listOf = (ids: readonly string[]) => `{${ids.join(',')}}`
const oldestOf = (ids: readonly string[]) => ids.reduce((oldest, id) => (id < oldest ? id : oldest))

/** What reached somebody's socket. */
export type Arrival = { conversationId: string; userId: string; seq: number }

/**
 * Marks what a door has written to its sockets as delivered: many marks of many people in one statement. Only of those
 * who take part; the door has checked that they do hear these conversations.
 */
export async function markDelivered(
  chat: Chat,
  workspaceId: string,
  arrivals: readonly Arrival[],
): Promise<void> {
  await change(chat, async (change) => {
    const { rows } = await sql<{ conversation_id: string; inbox_id: string | null; person_id: string }>`
      select given.c as conversation_id, given.inbox_id, given.p as person_id from (
        select g.c, g.p, g.seq, k.inbox_id from unnest(
          ${arrivals.map((one) => one.conversationId)}::uuid[], ${arrivals.map((one) => one.userId)}::uuid[],
          ${arrivals.map((one) => one.seq)}::int[]) as g (c, p, seq)
        join conversation k on k.workspace_id = ${workspaceId} and k.id = g.c
        join participant t on t.workspace_id = k.workspace_id and t.conversation_id = g.c and t.person_id = g.p
          and t.left_at is null
        order by g.c, g.p
      ) given
      where move_receipt(${workspaceId}, given.c, given.p, given.seq, 0, '{}', false)`.execute(change.db)
    if (rows.length === 0) return
    const moved = await sql<{ conversation_id: string; receipt: Receipt }>`
      select r.conversation_id, ${receiptOf('r', 'r')} as receipt from receipt r
      join unnest(${rows.map((row) => row.conversation_id)}::uuid[], ${rows.map((row) => row.person_id)}::uuid[]) as m (c, p)
        on r.conversation_id = m.c and r.person_id = m.p
      where r.workspace_id = ${workspaceId}`.execute(change.db)
    const inboxes = new Map(rows.map((row) => [row.conversation_id, row.inbox_id]))
    for (const { conversation_id: conversationId, receipt } of moved.rows) {
      const inboxId = inboxes.get(conversationId) ?? null
      change.announce({ type: 'receipt', workspaceId, conversationId, inboxId, receipt })
    }
  })
}

/** Somebody's mark passed (from, to] at this time. */
export type Move = { userId: string; kind: 'delivered' | 'read'; from: number; to: number; at: string }

/** Every move of a mark that touched these positions, earliest first. The caller has checked who wants to know. */
export async function movesOf(
  db: Db,
  workspaceId: string,
  conversationId: string,
  range: { from: number; to: number },
): Promise<Move[]> {
  const rows = await db
    .selectFrom('receipt_range')
    .select(['person_id', 'kind', 'from_seq', 'to_seq', 'at'])
    .where('workspace_id', '=', workspaceId)
    .where('conversation_id', '=', conversationId)
    .where('from_seq', '<', range.to)
    .where('to_seq', '>=', range.from)
    .orderBy('at')
    .execute()
  return rows.map((row) => ({
    userId: row.person_id,
    kind: row.kind,
    from: row.from_seq,
    to: row.to_seq,
    at: row.at,
  }))
}

/** Marks everything read, at one cost whatever the number. `count` is how many were unread before. */
export async function markAllRead(
  chat: Chat,
  actor: Actor,
  { conversationId }: InputOf<'receipt.markAllRead'>,
): Promise<ResultOf<'receipt.markAllRead'>> {
  return change(chat, async (change) => {
    const standing = await standingOf(change.db, actor, conversationId, { lock: true })
    const count = await unreadIn(change.db, actor, conversationId)
    const read = standing.conversation.last_seq
    const receipt = await move(change, actor, standing, { delivered: read, read, messages: none, all: true })
    return { receipt, count }
  })
}

async function unreadIn(db: Db, actor: Actor, conversationId: string): Promise<number> {
  const { rows } = await sql<{ unread: number }>`
    select ${unread(actor)} as unread from conversation c
    left join receipt r on r.workspace_id = c.workspace_id and r.conversation_id = c.id and r.person_id = ${actor.userId}
    where c.workspace_id = ${actor.workspaceId} and c.id = ${conversationId}`.execute(db)
  return rows[0]?.unread ?? 0
}

/** The marks of everybody who has any in a conversation. */
export async function listReceipts(
  chat: Chat,
  actor: Actor,
  { conversationId }: InputOf<'receipt.list'>,
): Promise<ResultOf<'receipt.list'>> {
  await standingOf(chat.db, actor, conversationId)
  return { receipts: await receiptsOf(chat.db, actor.workspaceId, conversationId) }
}

/** Who has received and read one message, and when: the earliest move of a mark that passed it. */
export async function listReaders(
  chat: Chat,
  actor: Actor,
  { messageId }: InputOf<'message.readers'>,
): Promise<ResultOf<'message.readers'>> {
  const message = await chat.db
    .selectFrom('message')
    .select(['conversation_id', 'seq', 'visibility'])
    .where('workspace_id', '=', actor.workspaceId)
    .where('id', '=', messageId)
    .executeTakeFirstOrThrow(notFound)
  const { sees } = await standingOf(chat.db, actor, message.conversation_id)
  if (sees === 'everyone' && message.visibility === 'agents') throw notFound()
  const rows = await chat.db
    .selectFrom('receipt_range')
    .select((column) => [
      'person_id',
      column.fn.min('at').as('delivered_at'),
      column.fn.min('at').filterWhere('kind', '=', 'read').as('read_at'),
    ])
    .where('workspace_id', '=', actor.workspaceId)
    .where('conversation_id', '=', message.conversation_id)
    .where('from_seq', '<', message.seq)
    .where('to_seq', '>=', message.seq)
    .groupBy('person_id')
    .orderBy('person_id')
    .execute()
  return {
    readers: rows.map((row) => ({
      userId: row.person_id,
      deliveredAt: row.delivered_at,
      readAt: row.read_at,
    })),
  }
}

/** Everybody's marks in one conversation, without asking who wants to know. */
export async function receiptsOf(
  db: Db,
  workspaceId: string,
  conversationId: string,
  userId?: string,
): Promise<Receipt[]> {
  const { rows } = await sql<{ receipt: Receipt }>`
    select ${receiptOf('r', 'r')} as receipt from receipt r
    where r.workspace_id = ${workspaceId} and r.conversation_id = ${conversationId}
      ${userId ? sql`and r.person_id = ${userId}` : sql``}
    order by r.person_id`.execute(db)
  return rows.map((row) => row.receipt)
}

/** Everybody's marks in each of these conversations. The caller has checked who wants to know. */
export async function receiptsIn(
  db: Db,
  workspaceId: string,
  conversationIds: readonly string[],
): Promise<Map<string, Receipt[]>> {
  if (conversationIds.length === 0) return new Map()
  const { rows } = await sql<{ id: string; receipt: Receipt }>`
    select r.conversation_id as id, ${receiptOf('r', 'r')} as receipt from receipt r
    where r.workspace_id = ${workspaceId} and r.conversation_id = any (${conversationIds}::uuid[])`.execute(
    db,
  )
  return new Map(
    [...Map.groupBy(rows, (row) => row.id)].map(([id, ofOne]) => [id, ofOne.map(({ receipt }) => receipt)]),
  )
}

async function move(
  change: Change,
  actor: Actor,
  { conversation, sees }: Standing,
  to: { delivered: number; read: number; messages: string; all?: boolean },
): Promise<Receipt> {
  // The statement sees the marks as they were before the function moves them.
  const { rows } = await sql<{ moved: boolean; before: Receipt | null }>`select move_receipt(
    ${actor.workspaceId}, ${conversation.id}, ${actor.userId}, ${to.delivered}, ${to.read},
    ${to.messages}::int4multirange, ${sees === 'agents'}) as moved,
    (select ${receiptOf('r', 'r')} from receipt r where r.workspace_id = ${actor.workspaceId}
      and r.conversation_id = ${conversation.id} and r.person_id = ${actor.userId}) as before`.execute(
    change.db,
  )
  if (to.all) await noteAllRead(change.db, actor, conversation.id)
  const now = await receipt(change.db, actor, conversation.id)
  if (rows[0]?.moved || to.all) {
    change.announce({
      type: 'receipt',
      workspaceId: actor.workspaceId,
      conversationId: conversation.id,
      inboxId: conversation.inbox_id,
      receipt: now,
      newlyRead: newlyRead(rows[0]?.before ?? null, now),
    })
  }
  return now
}

/** When everything was marked read, which is said also where nothing was unread. */
const noteAllRead = (db: Db, actor: Actor, conversationId: string) =>
  sql`update receipt set all_read_at = now(), changed_xid = pg_current_xact_id(), changed_span = span_of(pg_current_xact_id())
    where workspace_id = ${actor.workspaceId} and conversation_id = ${conversationId} and person_id = ${actor.userId}`.execute(
    db,
  )

/** What a move read that this person had not read before. */
function newlyRead(before: Receipt | null, now: Receipt): [number, number][] {
  const { read, readBeyond } = before ?? { read: 0, readBeyond: [] }
  const passed = [[read + 1, now.read] as const, ...now.readBeyond].filter(([from, to]) => from <= to)
  return without(passed, readBeyond).map(([from, to]) => [from, to])
}

async function receipt(db: Db, actor: Actor, conversationId: string): Promise<Receipt> {
  const [found] = await receiptsOf(db, actor.workspaceId, conversationId, actor.userId)
  if (!found) throw new Error('A receipt that was just written is not there')
  return found
}
