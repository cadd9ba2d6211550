import { randomUUIDv7 } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Attachment } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { type Standing, standingOf } from './access.ts'
import { type Actor, wayInOf } from './actor.ts'
import { cleanFileName, namesExecutable } from './attachments/file-name.ts'
import { plainFile } from './attachments/file-type.ts'
import { receive } from './attachments/incoming.ts'
import { type Link, linked, pathOf, prepareLinks, workspaceOfLink } from './attachments/links.ts'
import { readerOf } from './attachments/reader.ts'
import { type AttachmentRow, blobOf, thumbnailOf } from './attachments/row.ts'
import { type Look, look } from './attachments/thumbnail.ts'
import { type Chat, change } from './chat.ts'
import { Failure, notFound } from './failure.ts'
import { requireGrant } from './grants.ts'
import { requireFewFiles } from './visitor-limits.ts'

export { linked, linkedEvent, linkedMessage, prepareLinks } from './attachments/links.ts'
export type { AttachmentRow } from './attachments/row.ts'
export { type SweptBlobs, sweepAttachments } from './attachments/sweep.ts'

/** Without a conversation, the message that names the file decides where it goes. `limit` may be less than ours. */
type Upload = { conversationId: string | null; name: string; bytes: Readable; limit?: number }

/**
 * Takes a file in, to be named in a message. Acknowledged, its bytes are synced and in place and its row is
 * committed (promise G16). Bytes come first: dying in between leaves bytes that nobody can ask for, and the
 * sweep removes them. The original is kept byte for byte; what pages show is a thumbnail that we made.
 */
export async function uploadAttachment(chat: Chat, actor: Actor, upload: Upload): Promise<Attachment> {
  const { bytes, conversationId, limit = chat.config.uploadBytes } = upload
  const id = randomUUIDv7()
  try {
    if (conversationId !== null) {
      requireMayAttach(await standingOf(chat.db, actor, conversationId))
      await requireGrant(chat.db, actor, conversationId, 'attach')
    }
    await requireFewFiles(chat.db, actor, { coming: 1 })
    await prepareLinks(chat)
    const name = cleanFileName(upload.name)
    if (namesExecutable(name)) throw new Failure('file_type_refused', { name })
    const file = await keep(chat, id, bytes, Math.min(limit, chat.config.uploadBytes))
    const row = await commit(chat, actor, { id, conversation_id: conversationId, name, ...file })
    return linked(chat, attachmentView(row), actor)
  } catch (error) {
    if (error instanceof Failure) await forget(chat, id)
    throw isFull(error) ? new Failure('unavailable') : error
  } finally {
    bytes.destroy()
  }
}

function requireMayAttach({ conversation }: Standing): void {
  if (conversation.status === 'archived') throw new Failure('conversation_archived')
}

type Kept = Pick<AttachmentRow, 'size' | 'sha256' | 'mime_type' | 'width' | 'height' | 'has_thumbnail'>

async function keep(chat: Chat, id: string, bytes: Readable, limit: number): Promise<Kept> {
  const incoming = await receive(bytes, limit)
  await chat.blobs.put(blobOf(id), incoming.bytes)
  const { size, sha256, mimeType } = incoming.facts()
  const seen = await look(chat.blobs, blobOf(id), mimeType)
  const described = await describe(chat, id, seen)
  return { size, sha256, mime_type: seen.state === 'broken' ? plainFile : mimeType, ...described }
}

async function describe(chat: Chat, id: string, seen: Look) {
  if (seen.state !== 'seen') return { width: null, height: null, has_thumbnail: false }
  const { webp, width, height } = seen.thumbnail
  await chat.blobs.put(thumbnailOf(id), Readable.from([webp], { objectMode: false }))
  return { width, height, has_thumbnail: true }
}

type NewRow = Kept & Pick<AttachmentRow, 'id' | 'conversation_id' | 'name'>

/** An upload takes its time: who was put out, signed out or lost their role meanwhile no longer adds to it. */
function commit(chat: Chat, actor: Actor, row: NewRow): Promise<AttachmentRow> {
  return change(chat, async ({ db }) => {
    const uploader = await readerOf(db, { ...actor, wayIn: wayInOf(actor) })
    if (!uploader) throw new Failure('unauthenticated')
    if (row.conversation_id !== null) requireMayAttach(await standingOf(db, uploader, row.conversation_id))
    const kept = await db
      .insertInto('attachment')
      .values({ workspace_id: actor.workspaceId, uploader_id: actor.userId, ...row })
      .returningAll()
      .executeTakeFirstOrThrow()
    await requireFewFiles(db, actor)
    return kept
  })
}

/** After a refusal there is certainly no row. After other errors there may be one, and the sweep decides by it. */
async function forget(chat: Chat, id: string): Promise<void> {
  await Promise.allSettled([chat.blobs.remove(blobOf(id)), chat.blobs.remove(thumbnailOf(id))])
}

const isFull = (error: unknown) =>
  error instanceof Error &&
  'code' in error &&
  /^(ENOSPC|EDQUOT|EROFS|EMFILE|ENFILE|EIO)$/.test(String(error.code))

/** The file as everybody sees it: its paths open nothing until `linked` has signed them for one reader. */
export function attachmentView(row: AttachmentRow): Attachment {
  return {
    id: row.id,
    name: row.name,
    size: row.size,
    mimeType: row.mime_type,
    sha256: row.sha256,
    width: row.width,
    height: row.height,
    url: pathOf(row.id),
    thumbnailUrl: row.has_thumbnail ? `${pathOf(row.id)}?thumbnail=true` : null,
  }
}

/** The files of these messages, in the order they were uploaded. */
export async function attachmentsOf(
  db: Db,
  workspaceId: string,
  messageIds: readonly string[],
): Promise<Map<string, AttachmentRow[]>> {
  if (messageIds.length === 0) return new Map()
  const rows = await db
    .selectFrom('attachment')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where('message_id', 'in', messageIds)
    .orderBy('id')
    .execute()
  return Map.groupBy(rows, (row) => row.message_id ?? '')
}

/** What is known of a file, with fresh links. */
export async function getAttachment(
  chat: Chat,
  actor: Actor,
  { attachmentId }: { attachmentId: string },
): Promise<Attachment> {
  await prepareLinks(chat)
  return linked(chat, attachmentView(await findVisible(chat.db, actor, attachmentId)), actor)
}

export type OpenedAttachment = {
  bytes: Readable
  size: number
  mimeType: string
  name: string
  /** Only what we encoded ourselves may be shown as a page of its own. */
  disposition: 'inline' | 'attachment'
}

/**
 * The bytes behind a link, if we signed it, it is still good, the session it was given to stands, and its owner may see
 * the file at this moment.
 */
export async function openAttachment(
  chat: Chat,
  { thumbnail = false, ...link }: Link & { thumbnail?: boolean },
): Promise<OpenedAttachment> {
  await prepareLinks(chat)
  const workspaceId = workspaceOfLink(chat, link)
  const reader = workspaceId && (await readerOf(chat.db, { workspaceId, userId: link.for, wayIn: link.by }))
  if (!reader) throw notFound()
  const row = await findVisible(chat.db, reader, link.attachmentId)
  const blob = await chat.blobs.get(thumbnail ? thumbnailOf(row.id) : blobOf(row.id))
  if (!blob) throw notFound()
  return thumbnail
    ? { ...blob, mimeType: 'image/webp', name: `${row.name}.webp`, disposition: 'inline' }
    : { ...blob, mimeType: row.mime_type, name: row.name, disposition: 'attachment' }
}

/**
 * The bytes of a file for whoever asks, at a door where its unguessable name is the only key. It still goes with its
 * message when that is retracted, and with the conversation, and notes keep theirs.
 */
export async function openByName(
  chat: Chat,
  workspaceId: string,
  attachmentId: string,
): Promise<OpenedAttachment> {
  const row = await chat.db
    .selectFrom('attachment as a')
    .leftJoin('message as m', (join) =>
      join.onRef('m.workspace_id', '=', 'a.workspace_id').onRef('m.id', '=', 'a.message_id'),
    )
    .leftJoin('conversation as c', (join) =>
      join.onRef('c.workspace_id', '=', 'a.workspace_id').onRef('c.id', '=', 'a.conversation_id'),
    )
    .selectAll('a')
    .where('a.workspace_id', '=', workspaceId)
    .where('a.id', '=', attachmentId)
    .where('m.retracted_at', 'is', null)
    .where('c.deleted_at', 'is', null)
    .where(sql<boolean>`coalesce(m.visibility, 'everyone') = 'everyone'`)
    .executeTakeFirstOrThrow(notFound)
  const blob = await chat.blobs.get(blobOf(row.id))
  if (!blob) throw notFound()
  return { ...blob, mimeType: row.mime_type, name: row.name, disposition: 'attachment' }
}

/** The bytes of a file for somebody whose own token was just checked, at a door without signed links. */
export async function openAttachmentAs(
  chat: Chat,
  actor: Actor,
  { attachmentId }: { attachmentId: string },
): Promise<OpenedAttachment> {
  const row = await findVisible(chat.db, actor, attachmentId)
  const blob = await chat.blobs.get(blobOf(row.id))
  if (!blob) throw notFound()
  return { ...blob, mimeType: row.mime_type, name: row.name, disposition: 'attachment' }
}

/**
 * A file is seen by whoever sees its message, and until it is sent by its uploader alone. It goes with the message
 * when that is retracted, and with the conversation.
 */
async function findVisible(db: Db, actor: Actor, attachmentId: string): Promise<AttachmentRow> {
  const row = await db
    .selectFrom('attachment as a')
    .leftJoin('message as m', (join) =>
      join.onRef('m.workspace_id', '=', 'a.workspace_id').onRef('m.id', '=', 'a.message_id'),
    )
    .selectAll('a')
    .select(['m.visibility', 'm.retracted_at'])
    .where('a.workspace_id', '=', actor.workspaceId)
    .where('a.id', '=', attachmentId)
    .executeTakeFirst()
  if (!row) throw notFound()
  if (row.conversation_id === null) {
    if (row.uploader_id !== actor.userId) throw notFound()
    return row
  }
  const { sees } = await standingOf(db, actor, row.conversation_id)
  const shown = row.message_id
    ? !row.retracted_at &&
      (row.visibility === 'everyone' || (row.visibility === 'agents' && sees === 'agents'))
    : row.uploader_id === actor.userId
  if (!shown) throw notFound()
  return row
}
