import {
  type Attachment,
  findTextFault,
  isEmoji,
  limits,
  type Message,
  type Presence,
  type Receipt,
} from '@parley/protocol'
import type { DirectLine } from '../../chat/directs.ts'
import { holds } from '../../chat/ranges.ts'
import { refuseUnkeepable } from '../../validation.ts'
import type { Pair } from './directory.ts'
import { missing, Refusal, texts } from './refusals.ts'

export type MessageEvent = {
  id: string
  conversationId: string
  senderId: string
  receiverId: string
  message: string
  timestamp: string
  read: false
  attachments?: FileView[]
}
export type FileView = Pick<Attachment, 'id' | 'name' | 'size' | 'mimeType'> & { url: string }

/** A message as sockets hear it. */
export function messageEvent(message: Message, pair: Pair, base: string): MessageEvent {
  return {
    id: message.id,
    conversationId: pair.id,
    ...pair.endsOf(message.senderId),
    message: message.body,
    timestamp: message.createdAt,
    read: false,
    ...(message.attachments.length > 0 && {
      attachments: message.attachments.map((file) => fileView(file, base)),
    }),
  }
}

/** A message as history shows it. What nobody did to it is left out. */
export function messageRow(message: Message, pair: Pair, receipts: readonly Receipt[], base: string) {
  const { read: _live, timestamp, ...told } = messageEvent(message, pair, base)
  return {
    ...told,
    read: isRead(message, receipts),
    createdAt: timestamp,
    timestamp,
    ...(message.editedAt && { editedAt: message.editedAt }),
    ...(message.retractedAt && { deletedAt: message.retractedAt }),
    ...(message.reactions.length > 0 && {
      reactions: message.reactions.map(({ emoji, userIds }) => ({
        emoji,
        userIds: userIds.map((userId) => pair.nameOf(userId)),
      })),
    }),
  }
}

/** Two people, so one boolean: whether the one who did not write it has read it. */
const isRead = ({ seq, senderId }: Message, receipts: readonly Receipt[]) =>
  receipts.some(
    (receipt) => receipt.userId !== senderId && (receipt.read >= seq || holds(receipt.readBeyond, seq)),
  )

export function conversationRow(
  { lastBody, lastAt, unread }: DirectLine,
  pair: Pair,
  names: ReadonlyMap<string, string>,
) {
  return {
    id: pair.id,
    participants: pair.people.map(({ id }) => id),
    participantNames: Object.fromEntries(pair.people.map(({ id, userId }) => [id, names.get(userId) ?? id])),
    lastMessage: lastBody,
    lastMessageTime: lastAt,
    unreadCount: unread,
  }
}

export const fileView = ({ id, name, size, mimeType }: Attachment, base: string): FileView => ({
  id,
  name,
  size,
  mimeType,
  url: `${base}/chat/attachments/${id}`,
})

export const statusOf = (id: string, { state, lastSeenAt }: Presence) => ({
  userId: id,
  online: isOnline(state),
  ...(!isOnline(state) && lastSeenAt && { lastSeen: lastSeenAt }),
})
export const isOnline = (state: Presence['state']) => state === 'online' || state === 'away'

export type Wanted = {
  conversationId: string
  receiverId: string
  body: string
  attachmentIds: string[]
  clientMessageId: string | null
}

const longestMessage = 5_000
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
export const isUuid = (text: unknown): text is string => typeof text === 'string' && uuid.test(text)

/** What `send-message` asks for, in the order of checks that old clients know. `senderId` and `timestamp` are ignored. */
export function readSend(payload: unknown): Wanted {
  const given = fieldsOf(payload)
  const { attachmentIds = [], clientMessageId = null } = given
  const hasFiles = Array.isArray(attachmentIds) && attachmentIds.length > 0
  const body = given.message ?? (hasFiles ? '' : undefined)
  if (isAbsent(given.conversationId) || isAbsent(given.receiverId) || body === undefined)
    throw missing('conversationId', 'receiverId', 'message')
  if (!Array.isArray(attachmentIds) || attachmentIds.length > limits.attachmentsPerMessage)
    throw new Refusal(400, texts.notText)
  if (!attachmentIds.every(isUuid)) throw new Refusal(400, texts.noFile)
  if (clientMessageId !== null && !isKey(clientMessageId)) throw new Refusal(400, texts.notText)
  return {
    conversationId: idText(given.conversationId),
    receiverId: idText(given.receiverId),
    body: readText(body, { mayBeBlank: hasFiles }),
    attachmentIds,
    clientMessageId,
  }
}

export function readEdit(payload: unknown): { messageId: string; body: string } {
  const { messageId, message } = fieldsOf(payload)
  if (isAbsent(messageId) || message === undefined || message === null) throw missing('messageId', 'message')
  return { messageId: messageIdOf(messageId), body: readText(message, { mayBeBlank: false }) }
}

export function readDeletion(payload: unknown): { messageId: string } {
  const { messageId } = fieldsOf(payload)
  if (isAbsent(messageId)) throw missing('messageId')
  return { messageId: messageIdOf(messageId) }
}

export function readReaction(payload: unknown): { messageId: string; emoji: string; removed: boolean } {
  const { messageId, emoji, remove = false } = fieldsOf(payload)
  if (isAbsent(messageId) || isAbsent(emoji)) throw missing('messageId', 'emoji')
  const fits = typeof emoji === 'string' && (isEmoji(emoji) || (remove && emoji.length <= limits.emojiLength))
  if (!fits || typeof remove !== 'boolean') throw new Refusal(400, texts.notText)
  return { messageId: messageIdOf(messageId), emoji, removed: remove }
}

/** Join and leave bring the id itself, typing brings it in an object; both are taken everywhere. */
export function readConversationId(payload: unknown): string {
  if (findTextFault(payload)) throw new Refusal(403, texts.notAMember)
  const given = typeof payload === 'object' && payload !== null ? fieldsOf(payload).conversationId : payload
  if (isAbsent(given)) throw new Refusal(400, texts.noConversationId)
  if (typeof given !== 'string') throw new Refusal(403, texts.notAMember)
  return given
}

/** Whoever asks for what cannot be asked for gets what there is: the usual page, from the beginning. */
export function readPage({ limit, offset }: Record<string, unknown>): { limit: number; offset: number } {
  return {
    limit: Math.min(200, Math.max(1, wholeOf(limit) ?? 50)),
    offset: Math.min(2_000_000_000, Math.max(0, wholeOf(offset) ?? 0)),
  }
}

function wholeOf(value: unknown): number | null {
  return typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : null
}

function readText(value: unknown, { mayBeBlank }: { mayBeBlank: boolean }): string {
  if (typeof value !== 'string') throw new Refusal(400, texts.notText)
  const text = value.trim()
  if (text === '' && !mayBeBlank) throw new Refusal(400, texts.blank)
  if (text.length > 2 * longestMessage || [...text].length > longestMessage)
    throw new Refusal(400, texts.tooLong)
  return text
}

function fieldsOf(payload: unknown): Record<string, unknown> {
  refuseUnkeepable(payload)
  return typeof payload === 'object' && payload !== null && !Array.isArray(payload)
    ? (payload as Record<string, unknown>)
    : {}
}

const isAbsent = (value: unknown) => value === undefined || value === null || value === ''
const isKey = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= limits.clientMessageIdLength

function idText(value: unknown): string {
  if (typeof value !== 'string') throw new Refusal(400, texts.notText)
  return value
}

function messageIdOf(value: unknown): string {
  if (!isUuid(value)) throw new Refusal(404, texts.noMessage)
  return value
}
