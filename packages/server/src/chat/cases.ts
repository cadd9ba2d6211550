import type { ConversationStatus } from '@parley/protocol'
import { type RawBuilder, sql } from 'kysely'
import { type Actor, isAdmin, isStaff } from './actor.ts'
import type { Chat } from './chat.ts'

/** A conversation as work to be done: whose it is, who has it, and who leads the team that it came to. */
export type Case = {
  id: string
  kind: 'support' | 'direct' | 'group'
  status: ConversationStatus
  assigneeId: string | null
  /** Supervisors of its inbox, in the order they came. */
  supervisorIds: string[]
  /** Contacts who take part, in the order they came. */
  contactIds: string[]
  /** People of the team who take part. */
  agentIds: string[]
  lastSeq: number
}

/**
 * A case by its id, for a door that decides by itself what to tell whom: nothing of it may be told before.
 * Null where there is none.
 */
export async function findCase(
  chat: Chat,
  workspaceId: string,
  conversationId: string,
): Promise<Case | null> {
  const [found] = await readCases(chat, sql`c.workspace_id = ${workspaceId} and c.id = ${conversationId}`, 1)
  return found ?? null
}

/**
 * The cases of somebody, the newest first: all of them for admins, of their teams for supervisors, for agents those they
 * have, and for contacts their own. `before` goes on after the last one of a page.
 */
export async function listCases(
  chat: Chat,
  actor: Actor,
  { before, limit }: { before?: string | undefined; limit: number },
): Promise<Case[]> {
  const conditions = [sql`c.workspace_id = ${actor.workspaceId}`, ...belongingTo(actor)]
  if (before !== undefined) conditions.push(sql`c.id < ${before}`)
  return readCases(chat, sql`${sql.join(conditions, sql` and `)}`, limit)
}

function belongingTo(actor: Actor): RawBuilder<unknown>[] {
  if (isAdmin(actor)) return []
  if (actor.role === 'supervisor')
    return [
      sql`c.inbox_id = any (array(select m.inbox_id from inbox_member m
        where m.workspace_id = ${actor.workspaceId} and m.person_id = ${actor.userId} and m.role = 'supervisor'))`,
    ]
  if (!isStaff(actor)) return [sql`c.id = any (array(${participations(actor)}))`]
  // As a list of ids, which indexes find; with `or` alone every conversation would be visited.
  return [
    sql`c.id = any (array(
      select a.id from conversation a
      where a.workspace_id = ${actor.workspaceId} and a.assignee_id = ${actor.userId} and a.deleted_at is null
      union all ${participations(actor)}))`,
    sql`(c.kind <> 'support' or c.assignee_id = ${actor.userId})`,
  ]
}

const participations = (actor: Actor) => sql`
  select p.conversation_id from participant p
  where p.workspace_id = ${actor.workspaceId} and p.person_id = ${actor.userId} and p.left_at is null`

/** One statement, however many: people are looked up by the keys of their tables and sorted once for all cases. */
async function readCases(chat: Chat, condition: RawBuilder<unknown>, limit: number): Promise<Case[]> {
  const { rows } = await sql<Case>`
    with page as materialized (
      select c.workspace_id, c.id, c.inbox_id, c.kind, c.status, c.assignee_id, c.last_seq
      from conversation c where ${condition} and c.deleted_at is null order by c.id desc limit ${limit}
    ), present as (
      select p.conversation_id, p.person_id, p.role from page c
      join participant p on p.workspace_id = c.workspace_id and p.conversation_id = c.id and p.left_at is null
      order by p.joined_at, p.person_id
    ), people as (
      select conversation_id, array_agg(person_id) filter (where role = 'contact') as contacts,
        array_agg(person_id) filter (where role = 'agent') as agents
      from present group by conversation_id
    ), leader as (
      select m.inbox_id, array_agg(m.person_id order by m.added_at, m.person_id) as supervisors
      from (select distinct workspace_id, inbox_id from page) c
      join inbox_member m on m.workspace_id = c.workspace_id and m.inbox_id = c.inbox_id and m.role = 'supervisor'
      group by m.inbox_id
    )
    select c.id, c.kind, c.status, c.assignee_id as "assigneeId", c.last_seq as "lastSeq",
      coalesce(l.supervisors, '{}')::text[] as "supervisorIds",
      coalesce(q.contacts, '{}')::text[] as "contactIds", coalesce(q.agents, '{}')::text[] as "agentIds"
    from page c left join people q on q.conversation_id = c.id left join leader l on l.inbox_id = c.inbox_id
    order by c.id desc`.execute(chat.db)
  return rows
}
