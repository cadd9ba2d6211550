import type { Message } from '@parley/protocol'
import { type Selectable, sql } from 'kysely'
import type { Db, Tables } from '../store/store.ts'
import { attachmentsOf, attachmentView } from './attachments.ts'

export type MessageRow = Selectable<Tables['message']>

const columns = [
  'id',
  'conversation_id',
  'workspace_id',
  'seq',
  'sender_id',
  'sender_role',
  'client_message_id',
  'kind',
  'body',
  'visibility',
  'reply_to_id',
  'metadata',
  'attachment_count',
  'created_at',
  'edited_at',
  'retracted_at',
] as const satisfies (keyof MessageRow)[]
/** What is looked up of a message that is shown. */
export type ShownRow = Pick<MessageRow, (typeof columns)[number]>
/** The same of a message `m`, for a statement. */
export const shownColumns = sql.raw(columns.map((column) => `m.${column}`).join(', '))

/** Messages as the protocol shows them, in the order of the rows, with their attachments and reactions. */
export async function viewMessages(db: Db, rows: readonly ShownRow[]): Promise<Message[]> {
  const [first] = rows
  if (!first) return []
  const withFiles = rows.filter((row) => row.attachment_count > 0 && !row.retracted_at).map((row) => row.id)
  const attachments =
    withFiles.length > 0 ? await attachmentsOf(db, first.workspace_id, withFiles) : new Map()
  const reactions = await reactionsOf(db, rows)
  return rows.map((row) => ({
    id: row.id,
    conversationId: row.conversation_id,
    seq: row.seq,
    senderId: row.sender_id,
    senderRole: row.sender_role,
    clientMessageId: row.client_message_id,
    kind: row.kind,
    body: row.body,
    visibility: row.visibility,
    replyToId: row.reply_to_id,
    metadata: row.metadata ?? {},
    attachments: (attachments.get(row.id) ?? []).map(attachmentView),
    reactions: reactions.get(row.id) ?? [],
    createdAt: row.created_at,
    editedAt: row.edited_at,
    retractedAt: row.retracted_at,
  }))
}

export async function viewMessage(db: Db, row: ShownRow): Promise<Message> {
  const [message] = await viewMessages(db, [row])
  if (!message) throw new Error('A message that was given did not come back')
  return message
}

/** One query for the whole page, with each person's reactions to a message in the order in which they came. */
async function reactionsOf(db: Db, rows: readonly ShownRow[]): Promise<Map<string, Message['reactions']>> {
  const found = new Map<string, Message['reactions']>()
  const shown = rows.filter((row) => !row.retracted_at)
  const [first] = shown
  if (!first) return found
  const { rows: reactions } = await sql<{ place: number; emoji: string; person_id: string }>`
    select k.place::int, r.emoji, r.person_id
    from unnest(${shown.map((row) => row.conversation_id)}::uuid[], ${shown.map((row) => row.seq)}::int[])
      with ordinality as k (conversation_id, seq, place)
    join reaction r on r.workspace_id = ${first.workspace_id} and r.conversation_id = k.conversation_id and r.seq = k.seq
    order by r.created_at`.execute(db)
  for (const { place, emoji, person_id } of reactions) {
    const id = shown[place - 1]?.id ?? ''
    const ofMessage = found.get(id) ?? []
    const same = ofMessage.find((reaction) => reaction.emoji === emoji)
    if (same) same.userIds.push(person_id)
    else ofMessage.push({ emoji, userIds: [person_id] })
    found.set(id, ofMessage)
  }
  return found
}
