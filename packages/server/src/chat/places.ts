import type { Conversation, ParticipantRole } from '@parley/protocol'
import { sql } from 'kysely'
import { type ConversationRow, standingOf } from './access.ts'
import type { Actor } from './actor.ts'
import type { Chat } from './chat.ts'
import { viewConversation, visibleTo } from './summaries.ts'

/** Somebody's place in a conversation: they take part in it, or work in the inbox where it came in. */
export type Place = {
  conversation: Conversation
  inboxName: string | null
  role: ParticipantRole
  joinedAt: string
}

/** Somebody with a place in a conversation, and how they sign in. */
export type Placed = {
  userId: string
  name: string
  username: string | null
  email: string | null
  role: ParticipantRole
  joinedAt: string
}

const mostPlaces = 5_000

/** My places in all conversations, or in one, in the order in which the conversations began: the newest of them. */
export async function listPlaces(
  chat: Chat,
  actor: Actor,
  { conversationId }: { conversationId?: string } = {},
): Promise<Place[]> {
  type Row = ConversationRow & {
    inbox_name: string | null
    place: ParticipantRole | null
    place_since: string
  }
  const { rows } = await sql<Row>`
    select c.*, i.name as inbox_name, p.role as place,
      coalesce(p.joined_at, greatest(c.created_at, m.added_at)) as place_since
    from conversation c
    left join inbox i on i.workspace_id = c.workspace_id and i.id = c.inbox_id
    left join participant p on p.workspace_id = c.workspace_id and p.conversation_id = c.id
      and p.person_id = ${actor.userId} and p.left_at is null
    left join inbox_member m on m.workspace_id = c.workspace_id and m.inbox_id = c.inbox_id
      and m.person_id = ${actor.userId}
    where ${visibleTo(actor)} ${conversationId === undefined ? sql`` : sql`and c.id = ${conversationId}`}
    order by c.created_at desc, c.id desc limit ${mostPlaces}`.execute(chat.db)
  return rows.reverse().map((row) => ({
    conversation: viewConversation(row),
    inboxName: row.inbox_name,
    role: row.place ?? 'agent',
    joinedAt: row.place_since,
  }))
}

/** Everybody with a place in a conversation, those who ask first, each group in the order they came. */
export async function listPlaced(
  chat: Chat,
  actor: Actor,
  { conversationId }: { conversationId: string },
): Promise<Placed[]> {
  await standingOf(chat.db, actor, conversationId)
  type Row = Pick<Placed, 'name' | 'username' | 'email' | 'role'> & { id: string; since: string }
  const { rows } = await sql<Row>`
    with here as (
      select * from conversation where workspace_id = ${actor.workspaceId} and id = ${conversationId}
    ), placed as (
      select p.person_id, p.role, p.joined_at from here c
      join participant p on p.workspace_id = c.workspace_id and p.conversation_id = c.id and p.left_at is null
      union all
      select m.person_id, 'agent', greatest(m.added_at, c.created_at) from here c
      join inbox_member m on m.workspace_id = c.workspace_id and m.inbox_id = c.inbox_id
      where not exists (select 1 from participant p where p.workspace_id = c.workspace_id
        and p.conversation_id = c.id and p.person_id = m.person_id and p.left_at is null)
    )
    select s.id, s.name, s.username, s.email, placed.role, placed.joined_at as since from placed
    join person s on s.workspace_id = ${actor.workspaceId} and s.id = placed.person_id and s.deactivated_at is null
    order by placed.role = 'contact' desc, placed.joined_at, s.id`.execute(chat.db)
  return rows.map(({ id, since, name, username, email, role }) => ({
    userId: id,
    name,
    username,
    email,
    role,
    joinedAt: since,
  }))
}
