import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../store/store.ts'
import type { ConversationRow } from './access.ts'
import type { Actor } from './actor.ts'
import type { Chat } from './chat.ts'
import { isCurrent } from './grants.ts'
import { unread } from './summaries.ts'

/** Somebody in a conversation of two, under the name that another service knows them by. */
export type Correspondent = { userId: string; externalId: string | null }

/**
 * The direct conversation of the actor with somebody: the active one, or the newest of those that are over. For a door
 * whose clients name the two people and never the conversation.
 */
export async function findDirect(
  { db }: Pick<Chat, 'db'>,
  actor: Actor,
  otherId: string,
): Promise<Pick<ConversationRow, 'id' | 'status' | 'grant_required'> | null> {
  const key = `direct:${[actor.userId, otherId].sort().join(':')}`
  const active = sql`c.exclusive_key = ${key} and c.status not in ('closed', 'archived')`
  return (await pick(db, actor, active)) ?? (await pick(db, actor, sql`${takesPart(otherId)}`))
}

async function pick(db: Db, actor: Actor, condition: RawBuilder<unknown>) {
  const { rows } = await sql<Pick<ConversationRow, 'id' | 'status' | 'grant_required'>>`
    select c.id, c.status, c.grant_required from conversation c
    where c.workspace_id = ${actor.workspaceId} and c.kind = 'direct' and c.deleted_at is null
      and ${takesPart(actor.userId)} and ${condition}
    order by c.status in ('closed', 'archived'), c.created_at desc limit 1`.execute(db)
  return rows[0] ?? null
}

/** As a list of ids first: that is what an index can find, while a correlated test would visit every conversation. */
const takesPart = (userId: string) => sql`c.id = any (array(
  select p.conversation_id from participant p
  where p.workspace_id = c.workspace_id and p.person_id = ${userId} and p.left_at is null))`

/** A direct conversation in which somebody has written, as a line of a list. */
export type DirectLine = { id: string; unread: number; lastBody: string; lastAt: string }

/** The actor's direct conversations, the latest message first: nothing but what a plain list shows, so all of them. */
export async function listDirects({ db }: Pick<Chat, 'db'>, actor: Actor): Promise<DirectLine[]> {
  const { rows } = await sql<DirectLine>`
    select c.id, m.body as "lastBody", m.created_at as "lastAt",
      case when r.read_seq >= c.last_seq then 0 else ${unread(actor)} end as unread
    from participant p
    join conversation c on c.workspace_id = p.workspace_id and c.id = p.conversation_id
      and c.kind = 'direct' and c.deleted_at is null
    join lateral (
      select body, created_at from message w where w.workspace_id = c.workspace_id and w.conversation_id = c.id
        and w.visibility = 'everyone' and w.kind <> 'system' order by w.seq desc limit 1
    ) m on true
    left join receipt r on r.workspace_id = c.workspace_id and r.conversation_id = c.id and r.person_id = p.person_id
    where p.workspace_id = ${actor.workspaceId} and p.person_id = ${actor.userId} and p.left_at is null
    order by m.created_at desc, c.id desc`.execute(db)
  return rows
}

/** Which of these conversations are between two people, and who those are. The caller has checked who asks. */
export async function directsAmong(
  db: Db,
  workspaceId: string,
  conversationIds: readonly string[],
): Promise<Map<string, [Correspondent, Correspondent]>> {
  if (conversationIds.length === 0) return new Map()
  const { rows } = await sql<Correspondent & { id: string }>`
    select c.id, s.id as "userId", s.external_id as "externalId"
    from conversation c
    join participant p on p.workspace_id = c.workspace_id and p.conversation_id = c.id
    join person s on s.workspace_id = p.workspace_id and s.id = p.person_id
    where c.workspace_id = ${workspaceId} and c.id = any (${conversationIds}::uuid[]) and c.kind = 'direct'
    order by p.joined_at, p.person_id`.execute(db)
  const found = new Map<string, [Correspondent, Correspondent]>()
  for (const [id, ofOne] of Map.groupBy(rows, (row) => row.id)) {
    const [first, second] = ofOne.map(({ id: _conversation, ...person }) => person)
    if (first && second) found.set(id, [first, second])
  }
  return found
}

/** Whom somebody has a direct conversation or a current grant with. */
export async function correspondentsOf({ db }: Pick<Chat, 'db'>, actor: Actor): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select theirs.person_id as id from participant mine
    join conversation c on c.workspace_id = mine.workspace_id and c.id = mine.conversation_id
      and c.kind = 'direct' and c.deleted_at is null
    join participant theirs on theirs.workspace_id = mine.workspace_id
      and theirs.conversation_id = mine.conversation_id and theirs.left_at is null
    where mine.workspace_id = ${actor.workspaceId} and mine.person_id = ${actor.userId} and mine.left_at is null
      and theirs.person_id <> ${actor.userId}
    union
    select case when a.person_a = ${actor.userId} then a.person_b else a.person_a end from access_grant a
    where a.workspace_id = ${actor.workspaceId} and (a.person_a = ${actor.userId} or a.person_b = ${actor.userId})
      and ${isCurrent}`.execute(db)
  return rows.map((row) => row.id)
}
