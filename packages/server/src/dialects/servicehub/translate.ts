import type { Message, MessageKind } from '@parley/protocol'
import type { Place, Placed } from '../../chat/places.ts'
import { holds, type Ranges } from '../../chat/ranges.ts'
import { type Side, sideOf } from '../../chat/sides.ts'

export type Role = 'CUSTOMER' | 'AGENT'

/** Somebody as messages name them. */
export type Sender = { id: string; username: string; role: Role }

/** What the two sides of a conversation have read. */
export type ReadState = Record<Side, Ranges>

export const roleOf = (role: string): Role => (sideOf(role) === 'contact' ? 'CUSTOMER' : 'AGENT')

export const conversationTypes = ['DIRECT', 'SUPPORT', 'SUPPORT_ROOM', 'SALES', 'GENERAL', 'COMMUNITY']
export const contentTypes = ['TEXT', 'FILE', 'IMAGE', 'VIDEO', 'OTHER'] as const
export type ContentType = (typeof contentTypes)[number]

/** Names that translating an entry of a list needs. */
export type EntryNames = { entry: string; conversation: string; user: string; business: string | null }

/** A conversation that came in through no inbox has no business; clients are shown one that is not in the list. */
const noBusiness = '0'

export function toEntry({ conversation, inboxName, role, joinedAt }: Place, names: EntryNames) {
  const businessId = names.business ?? noBusiness
  return {
    id: names.entry,
    conversationId: names.conversation,
    userId: names.user,
    role: roleOf(role),
    joinedAt,
    conversation: {
      id: names.conversation,
      businessId,
      type: conversation.topic,
      createdAt: conversation.createdAt,
      updatedAt: conversation.updatedAt,
      business: { id: businessId, name: inboxName ?? conversation.subject },
    },
  }
}

export function toParticipant(placed: Placed, names: { entry: string; conversation: string; user: string }) {
  return {
    id: names.entry,
    conversationId: names.conversation,
    userId: names.user,
    role: roleOf(placed.role),
    joinedAt: placed.joinedAt,
    user: { id: names.user, username: placed.username ?? placed.name, email: placed.email },
  }
}

export function toMessage(
  message: Message,
  names: { message: string; conversation: string; sender: string | null },
  read: ReadState,
) {
  const [file] = message.attachments
  const { fileUrl, mimeType, contentType } = message.metadata
  const bodyIsFile = message.metadata.bodyIsFile === true
  return {
    id: names.message,
    conversationId: names.conversation,
    senderId: names.sender,
    contentType: isContentType(contentType) ? contentType : contentTypeOf(message.kind),
    body: message.body === '' || bodyIsFile ? null : message.body,
    fileUrl: typeof fileUrl === 'string' ? fileUrl : (file?.url ?? null),
    mimeType: typeof mimeType === 'string' ? mimeType : (file?.mimeType ?? null),
    createdAt: message.createdAt,
    readAt: null,
    editedAt: message.editedAt,
    deletedAt: message.retractedAt,
    readByCustomer: isReadBy('contact', message, read),
    readByAgents: isReadBy('agent', message, read),
  }
}

/** Whoever writes has read what they wrote, and so has their side. */
const isReadBy = (side: Side, message: Message, read: ReadState) =>
  (message.senderRole !== 'system' && sideOf(message.senderRole) === side) || holds(read[side], message.seq)

/** What a client sends, checked already. */
export type NewMessage = {
  body: string | null
  fileUrl: string | null
  mimeType: string | null
  contentType: ContentType
}

/** A file that lies elsewhere is told in the metadata; without a text, its address is what other clients read. */
export function fromMessage({ body, fileUrl, mimeType, contentType }: NewMessage) {
  const isPlain = fileUrl === null && mimeType === null && contentType === 'TEXT'
  return {
    body: body || (fileUrl ?? ''),
    ...(!isPlain && {
      kind: kindOf[contentType],
      metadata: {
        contentType,
        ...(fileUrl !== null && { fileUrl }),
        ...(mimeType !== null && { mimeType }),
        ...(!body && { bodyIsFile: true }),
      },
    }),
  }
}

const kindOf: Record<ContentType, Exclude<MessageKind, 'system'>> = {
  TEXT: 'text',
  FILE: 'file',
  IMAGE: 'image',
  VIDEO: 'video',
  OTHER: 'file',
}

const contentTypeOf = (kind: MessageKind): ContentType =>
  (
    ({ text: 'TEXT', file: 'FILE', image: 'IMAGE', video: 'VIDEO', audio: 'OTHER', system: 'OTHER' }) as const
  )[kind]

export const isContentType = (value: unknown): value is ContentType =>
  contentTypes.some((known) => known === value)
