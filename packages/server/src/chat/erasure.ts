import { sql } from 'kysely'
import type { Db } from '../store/store.ts'

type Conversation = { workspaceId: string; id: string }

/**
 * Empties what people wrote in a conversation: its name and data, messages and their earlier texts, reactions, and files.
 * The numbering stays, and the log can still be read: by those who follow the conversation, up to its deletion.
 */
export async function eraseConversation(db: Db, conversation: Conversation): Promise<void> {
  const { workspaceId, id } = conversation
  const here = sql`workspace_id = ${workspaceId} and conversation_id = ${id}`
  await db
    .updateTable('conversation')
    .set({ deleted_at: sql`now()`, subject: '', metadata: '{}' })
    .where('workspace_id', '=', workspaceId)
    .where('id', '=', id)
    .execute()
  await sql`update message set body = '', metadata = null, retracted_at = coalesce(retracted_at, clock_timestamp())
    where ${here}`.execute(db)
  await sql`update message_revision set body = '' where ${here}`.execute(db)
  await sql`delete from reaction where ${here}`.execute(db)
  await sql`update event set data = ${withoutContent} where ${here} and type in ('conversation.updated', 'message.reacted')`.execute(
    db,
  )
  await removeFiles(db, sql`select id from message where ${here} and attachment_count > 0`, workspaceId)
}

/** A reaction that nobody may know any more is told as one taken back: whoever applies it is left with none. */
const withoutContent = sql`case type
  when 'conversation.updated' then data #- '{changes,subject}' #- '{changes,metadata}'
  else data || '{"emoji": "", "removed": true}' end`

/** The files of a message go with its text. Without their rows nobody finds the bytes, and the sweep removes them. */
export function removeFilesOf(db: Db, workspaceId: string, messageId: string): Promise<void> {
  return removeFiles(db, sql`${messageId}::uuid`, workspaceId)
}

async function removeFiles(db: Db, messageIds: ReturnType<typeof sql>, workspaceId: string): Promise<void> {
  await sql`delete from attachment where workspace_id = ${workspaceId} and message_id in (${messageIds})`.execute(
    db,
  )
}
