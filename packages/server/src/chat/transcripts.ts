import { sql } from 'kysely'
import { standingOf } from './access.ts'
import type { Actor } from './actor.ts'
import type { Chat } from './chat.ts'

/** What somebody said, for a reader who needs no more than that. */
export type Line = {
  senderId: string | null
  senderRole: 'contact' | 'agent' | 'bot' | 'system'
  body: string
  /** Names of the files that came with it. */
  files: string[]
  createdAt: string
}

const mostLines = 10_000
const mostBytes = 16_777_216

/**
 * Everything that was said in a conversation, in order, at once: for doors that know no pages. Notes and retracted
 * messages are left out. Of a very long one the newest part, so that no reader can make us hold more than that.
 */
export async function readTranscript(
  chat: Chat,
  actor: Actor,
  { conversationId }: { conversationId: string },
): Promise<Line[]> {
  await standingOf(chat.db, actor, conversationId)
  const { rows } = await sql<Line>`
    with said as (
      select m.*, sum(octet_length(m.body)) over (order by m.seq desc) as bytes
      from (
        select * from message m
        where m.workspace_id = ${actor.workspaceId} and m.conversation_id = ${conversationId}
          and m.visibility = 'everyone' and m.retracted_at is null
        order by m.seq desc limit ${mostLines}
      ) m
    )
    select s.sender_id as "senderId", s.sender_role as "senderRole", s.body, s.created_at as "createdAt",
      case when s.attachment_count = 0 then '{}' else array(select a.name from attachment a
        where a.workspace_id = s.workspace_id and a.message_id = s.id order by a.id) end as files
    from said s where s.bytes <= ${mostBytes} order by s.seq`.execute(chat.db)
  return rows
}
