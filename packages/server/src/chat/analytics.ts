import type { InputOf, ResultOf } from '@parley/protocol'
import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { type Actor, isAdmin } from './actor.ts'
import type { Chat } from './chat.ts'
import { requireInstant } from './instants.ts'

type Analytics = ResultOf<'analytics.get'>

/** Counts and first-answer times of the conversations made in a span: `from` included, `to` not. */
export async function getAnalytics(
  chat: Chat,
  actor: Actor,
  { from, to }: InputOf<'analytics.get'>,
): Promise<Analytics> {
  const span = conversationsOf(actor, from, to)
  const [totals, byAgent, byInbox] = await Promise.all([
    countAll(chat.db, span),
    countByAgent(chat.db, actor.workspaceId, span),
    countByInbox(chat.db, span),
  ])
  const { median, p90, ...counts } = totals
  return { ...counts, firstAnswerMs: { median, p90 }, byAgent, byInbox }
}

/** The condition on `c`: all conversations for admins, for supervisors those of their inboxes. */
function conversationsOf(actor: Actor, from?: string, to?: string): RawBuilder<boolean> {
  const conditions = [sql`c.workspace_id = ${actor.workspaceId}`, sql`c.deleted_at is null`]
  if (!isAdmin(actor)) conditions.push(sql`c.inbox_id = any (${[...actor.inboxIds]}::uuid[])`)
  if (from !== undefined) conditions.push(sql`c.created_at >= ${requireInstant('from', from)}::timestamptz`)
  if (to !== undefined) conditions.push(sql`c.created_at < ${requireInstant('to', to)}::timestamptz`)
  return sql<boolean>`${sql.join(conditions, sql` and `)}`
}

/** A snoozed conversation is still open; an archived one was closed. */
const open = sql`count(*) filter (where c.status in ('open', 'snoozed'))::int`
const assigned = sql`count(*) filter (where c.status = 'assigned')::int`
const closed = sql`count(*) filter (where c.status in ('closed', 'archived'))::int`

type Totals = Pick<Analytics, 'open' | 'assigned' | 'closed'> & Analytics['firstAnswerMs']

async function countAll(db: Db, span: RawBuilder<boolean>): Promise<Totals> {
  const waited = sql`extract(epoch from c.first_answer_at - c.created_at)::float8 * 1000`
  const share = (part: number) => sql`percentile_cont(${part}::float8) within group (order by ${waited})`
  const { rows } = await sql<Totals>`
    select ${open} as open, ${assigned} as assigned, ${closed} as closed, ${share(0.5)} as median, ${share(0.9)} as p90
    from conversation c where ${span}`.execute(db)
  return rows[0] ?? { open: 0, assigned: 0, closed: 0, median: null, p90: null }
}

/** Whoever holds one of these conversations, or wrote in one for the team. Notes are not counted. */
async function countByAgent(
  db: Db,
  workspaceId: string,
  span: RawBuilder<boolean>,
): Promise<Analytics['byAgent']> {
  const { rows } = await sql<Analytics['byAgent'][number]>`
    with held as (
      select c.assignee_id as person_id, ${assigned} as assigned, ${closed} as closed
      from conversation c where ${span} and c.assignee_id is not null group by 1
    ), wrote as (
      select m.sender_id as person_id, count(*)::int as messages
      from conversation c
      join message m on m.workspace_id = c.workspace_id and m.conversation_id = c.id
        and m.sender_role = 'agent' and m.visibility = 'everyone' and m.sender_id is not null
      where ${span} group by 1
    )
    select p.id as "userId", p.name, coalesce(h.assigned, 0) as assigned, coalesce(h.closed, 0) as closed,
      coalesce(w.messages, 0) as messages
    from held h full join wrote w using (person_id)
    join person p on p.workspace_id = ${workspaceId} and p.id = person_id
    order by p.name, p.id`.execute(db)
  return rows
}

async function countByInbox(db: Db, span: RawBuilder<boolean>): Promise<Analytics['byInbox']> {
  const { rows } = await sql<Analytics['byInbox'][number]>`
    select i.id as "inboxId", i.name, ${open} as open, ${assigned} as assigned, ${closed} as closed
    from conversation c join inbox i on i.workspace_id = c.workspace_id and i.id = c.inbox_id
    where ${span} group by i.id, i.name order by i.name, i.id`.execute(db)
  return rows
}
