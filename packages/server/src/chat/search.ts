import type { ConversationKind, Message } from '@parley/protocol'
import { sql } from 'kysely'
import type { Actor } from './actor.ts'
import type { Chat } from './chat.ts'
import { type MessageRow, viewMessages } from './message-view.ts'
import { containing } from './patterns.ts'

/**
 * Messages that contain a text, in conversations the actor takes part in, newest first. It reads every message of
 * those conversations: fine for one person's own, and nothing to offer over all conversations of a team.
 */
export async function searchMessages(
  chat: Pick<Chat, 'db'>,
  actor: Actor,
  { q, kind, limit, offset }: { q: string; kind?: ConversationKind; limit: number; offset: number },
): Promise<Message[]> {
  const pattern = containing(q)
  const { rows } = await sql<MessageRow>`
    select m.* from message m
    where m.workspace_id = ${actor.workspaceId} and m.conversation_id = any (array(
      select p.conversation_id from participant p
      join conversation c on c.workspace_id = p.workspace_id and c.id = p.conversation_id and c.deleted_at is null
        ${kind ? sql`and c.kind = ${kind}` : sql``}
      where p.workspace_id = ${actor.workspaceId} and p.person_id = ${actor.userId} and p.left_at is null))
      and m.visibility = 'everyone' and m.kind <> 'system' and m.retracted_at is null and m.body ilike ${pattern}
    order by m.created_at desc, m.conversation_id desc, m.seq desc limit ${limit} offset ${offset}`.execute(
    chat.db,
  )
  return viewMessages(chat.db, rows)
}
