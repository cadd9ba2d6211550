import type { Message, Receipt } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { viewMessages } from './message-view.ts'
import { join, type Ranges } from './ranges.ts'
import { receiptOf } from './summaries.ts'

/** A conversation has two sides: those who ask, and those who answer. */
export type Side = 'contact' | 'agent'

export const sideOf = (role: string): Side => (role === 'contact' ? 'contact' : 'agent')

/** What one person has read, and on which side they stand. */
export type Reading = { userId: string; side: Side; ranges: Ranges }

/** What everybody has read in a conversation, without asking who wants to know. */
export async function readingsOf(db: Db, workspaceId: string, conversationId: string): Promise<Reading[]> {
  const { rows } = await sql<{ receipt: Receipt; role: string }>`
    select ${receiptOf('r', 'r')} as receipt, coalesce(p.role, s.role) as role
    from receipt r
    join person s on s.workspace_id = r.workspace_id and s.id = r.person_id
    left join participant p on p.workspace_id = r.workspace_id and p.conversation_id = r.conversation_id
      and p.person_id = r.person_id
    where r.workspace_id = ${workspaceId} and r.conversation_id = ${conversationId}`.execute(db)
  return rows.map(({ receipt, role }) => ({
    userId: receipt.userId,
    side: sideOf(role),
    ranges: join([[1, receipt.read], ...receipt.readBeyond]),
  }))
}

/** What a side has read: whatever anybody on it has. */
export const readBy = (readings: readonly Reading[], side: Side): Ranges =>
  join(readings.filter((reading) => reading.side === side).flatMap((reading) => reading.ranges))

/** How many messages of the other side nobody on this one has read. */
export async function countUnreadBySide(
  db: Db,
  workspaceId: string,
  conversationId: string,
  side: Side,
  read: Ranges,
): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from message m
    where m.workspace_id = ${workspaceId} and m.conversation_id = ${conversationId} and ${fromOutside(side)}
      and m.seq > ${read[0]?.[0] === 1 ? read[0][1] : 0} and not ${within(read)}`.execute(db)
  return rows[0]?.count ?? 0
}

/** The newest messages of the other side at these positions, in order. */
export async function newestFromOutside(
  db: Db,
  workspaceId: string,
  conversationId: string,
  side: Side,
  at: Ranges,
  limit: number,
): Promise<Message[]> {
  const rows = await db
    .selectFrom('message as m')
    .selectAll()
    .where('m.workspace_id', '=', workspaceId)
    .where('m.conversation_id', '=', conversationId)
    .where(sql<boolean>`${fromOutside(side)} and ${within(at)}`)
    .where('m.seq', '>=', at[0]?.[0] ?? 0)
    .where('m.seq', '<=', at.at(-1)?.[1] ?? 0)
    .orderBy('m.seq', 'desc')
    .limit(limit)
    .execute()
  return viewMessages(db, rows.reverse())
}

const fromOutside = (side: Side) =>
  side === 'contact'
    ? sql`m.visibility = 'everyone' and m.sender_role <> 'contact'`
    : sql`m.visibility = 'everyone' and m.sender_role in ('contact', 'system')`

const within = (ranges: Ranges) => sql`exists (
  select 1 from unnest(${ranges.map(([from]) => from)}::int[], ${ranges.map(([, to]) => to)}::int[]) as x (f, t)
  where m.seq between x.f and x.t)`
