import type { Message } from '@parley/protocol'
import { type Selectable, sql } from 'kysely'
import { asked, gathered } from '../store/gathered.ts'
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

/** Each person's reactions to the messages of a page, in the order in which they came. */
function reactionsOf(db: Db, rows: readonly ShownRow[]): Promise<Map<string, Message['reactions']>> {
  const shown = rows.filter((row) => !row.retracted_at)
  return shown.length > 0 ? reactionsOfPages(db, shown) : Promise.resolve(new Map())
}

const reactionsOfPages = gathered(async (db, pages: readonly (readonly ShownRow[])[]) => {
  const shown = pages.flatMap((rows, page) => rows.map((row) => ({ row, page })))
  const { rows } = await sql<{ place: number; emoji: string; person_id: string }>`/* reactions */
    select q.place::int, r.emoji, r.person_id
    from ${asked(shown, {
      workspace_id: ['uuid', ({ row }) => row.workspace_id],
      conversation_id: ['uuid', ({ row }) => row.conversation_id],
      seq: ['int', ({ row }) => row.seq],
    })}
    cross join lateral (
      select r.emoji, r.person_id, r.created_at from reaction r
      where r.workspace_id = q.workspace_id and r.conversation_id = q.conversation_id and r.seq = q.seq offset 0) r
    order by r.created_at`.execute(db)
  const found = pages.map(() => new Map<string, Message['reactions']>())
  for (const { place, emoji, person_id } of rows) {
    const entry = shown[place - 1]
    const ofPage = entry && found[entry.page]
    if (!ofPage) continue
    const ofMessage = ofPage.get(entry.row.id) ?? []
    const same = ofMessage.find((reaction) => reaction.emoji === emoji)
    if (same) same.userIds.push(person_id)
    else ofMessage.push({ emoji, userIds: [person_id] })
    ofPage.set(entry.row.id, ofMessage)
  }
  return found
})
