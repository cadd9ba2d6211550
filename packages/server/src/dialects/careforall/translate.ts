import {
  type Attachment,
  type Conversation,
  type ConversationStatus,
  type InputOf,
  limits,
  type Message,
  type ParticipantRole,
  type Role,
} from '@parley/protocol'
import type { Move } from '../../chat/receipts.ts'
import type { Member } from '../../chat/rosters.ts'
import { parseJson, refuseUnkeepable } from '../../validation.ts'
import { refusals } from './refusals.ts'

export type WireRole = 'USER' | 'ADMIN'
export type WireStatus = 'ACTIVE' | 'CLOSED' | 'ARCHIVED'
export type MessageType = 'TEXT' | 'SYSTEM' | 'FILE'
export type Names = (userId: string | null) => string

type Json = Record<string, unknown>

const uuid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
const conversationForm = new RegExp(`^conv_(${uuid})$`)
const messageForm = new RegExp(`^msg_(${uuid})$`)

export const toConversationId = (id: string) => `conv_${id}`
export const toMessageId = (id: string) => `msg_${id}`

/** The id inside the name, or undefined for what cannot be the name of anything. */
export const fromConversationId = (name: unknown) => idIn(conversationForm, name)
export const fromMessageId = (name: unknown) => idIn(messageForm, name)

const idIn = (form: RegExp, name: unknown) => (typeof name === 'string' ? form.exec(name)?.[1] : undefined)

export const toRole = (role: Role | ParticipantRole | 'system'): WireRole =>
  role === 'contact' ? 'USER' : 'ADMIN'

const statuses: Record<ConversationStatus, WireStatus> = {
  open: 'ACTIVE',
  assigned: 'ACTIVE',
  snoozed: 'ACTIVE',
  closed: 'CLOSED',
  archived: 'ARCHIVED',
}
export const toStatus = (status: ConversationStatus) => statuses[status]

const fromStatus = { ACTIVE: 'active', CLOSED: 'closed', ARCHIVED: 'archived' } as const

export const toParticipant = ({ userId, externalId, role, joinedAt, allReadAt }: Member) => ({
  userId: externalId ?? userId,
  role: toRole(role),
  joinedAt,
  ...(allReadAt && { lastReadAt: allReadAt }),
})

export function toConversation(conversation: Conversation, members: readonly Member[], names: Names) {
  return {
    conversationId: toConversationId(conversation.id),
    participants: members.map(toParticipant),
    createdBy: names(conversation.createdBy),
    status: toStatus(conversation.status),
    ...(conversation.subject && { subject: conversation.subject }),
    metadata: conversation.metadata,
    createdAt: conversation.createdAt,
    updatedAt: conversation.updatedAt,
  }
}

/** A message in a page, with who of the others read it and when. */
export function toMessage(message: Message, moves: readonly Move[], names: Names) {
  return {
    ...toFrame(message, names),
    readBy: readersOf(message, moves).map(([userId, readAt]) => ({ userId: names(userId), readAt })),
    updatedAt: message.retractedAt ?? message.editedAt ?? message.createdAt,
  }
}

/** A message on a socket. */
export function toFrame(message: Message, names: Names) {
  return {
    messageId: toMessageId(message.id),
    conversationId: toConversationId(message.conversationId),
    senderId: names(message.senderId),
    senderRole: toRole(message.senderRole),
    content: message.body || (message.attachments[0]?.name ?? ''),
    messageType: toMessageType(message),
    metadata: toMetadata(message),
    createdAt: message.createdAt,
  }
}

function toMessageType({ kind }: Message): MessageType {
  if (kind === 'system') return 'SYSTEM'
  return kind === 'text' ? 'TEXT' : 'FILE'
}

/** Files that came through another door are named where this dialect keeps its references. */
function toMetadata({ metadata, attachments }: Message): Json {
  if (attachments.length === 0) return metadata
  const named = ({ name, url, size, mimeType }: Attachment) => ({ name, url, size, mimeType })
  return { ...metadata, attachments: attachments.map(named) }
}

/** The first time that each of the others passed the message; moves come earliest first. */
function readersOf({ seq, senderId }: Message, moves: readonly Move[]): [userId: string, readAt: string][] {
  const readers = new Map<string, string>()
  for (const { userId, kind, from, to, at } of moves) {
    if (kind !== 'read' || seq <= from || seq > to || userId === senderId || readers.has(userId)) continue
    readers.set(userId, at)
  }
  return [...readers]
}

/** Text as it came in, parsed: an object that comes back as it is, or refused. */
export function readObject(text: string): Json {
  const value = text.trim() === '' ? undefined : parseJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refusals.notAnObject()
  refuseUnkeepable(value)
  return value as Json
}

export type NewConversation = { subject?: string; metadata?: Json; participants?: string[] }

export function fromNewConversation(body: Json): NewConversation {
  const participants = own(body, 'participants')
  return {
    ...fromSubject(body),
    ...fromMetadata(body),
    ...(participants !== undefined && { participants: fromUserIds(participants) }),
  }
}

export type ConversationChange = Pick<InputOf<'conversation.update'>, 'subject' | 'metadata'> & {
  status?: 'active' | 'closed' | 'archived'
}

export function fromConversationChange(body: Json): ConversationChange {
  const status = own(body, 'status')
  return {
    ...fromSubject(body),
    ...fromMetadata(body),
    ...(status !== undefined && { status: requireStatus(status) }),
  }
}

export function requireStatus(status: unknown): 'active' | 'closed' | 'archived' {
  if (typeof status !== 'string' || !Object.hasOwn(fromStatus, status)) throw refusals.invalidStatus()
  return fromStatus[status as WireStatus]
}

function fromSubject(body: Json): { subject?: string } {
  const subject = own(body, 'subject')
  if (subject === undefined) return {}
  if (typeof subject !== 'string') throw refusals.notText('subject')
  const trimmed = subject.trim()
  if (trimmed.length > 200) throw refusals.tooLong('subject', 200)
  return { subject: trimmed }
}

function fromMetadata(body: Json): { metadata?: Json } {
  const metadata = own(body, 'metadata')
  if (metadata === undefined) return {}
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata))
    throw refusals.metadataNotAnObject()
  return { metadata: metadata as Json }
}

const mostParticipants = 50

function fromUserIds(value: unknown): string[] {
  if (!Array.isArray(value) || value.length > mostParticipants || !value.every(isUserId))
    throw refusals.invalidParticipants(mostParticipants)
  return [...new Set<string>(value)]
}

const isUserId = (value: unknown): value is string =>
  typeof value === 'string' && value.trim() !== '' && value.length <= 200

/** Who is to be assigned: somebody named, or nobody named. */
export function fromAssignment(body: Json): string | undefined {
  const adminId = own(body, 'adminId')
  if (adminId !== undefined && !isUserId(adminId)) throw refusals.invalidAdminId()
  return adminId
}

export type NewMessage = {
  body: string
  messageType: MessageType
  metadata?: Json
  /** The sender's own name for the message, which makes a retry safe. */
  clientMessageId?: string
  /** What the sender said about it, to be said back. */
  echo: Json
}

export function fromNewMessage(frame: Json): NewMessage {
  const content = own(frame, 'content')
  const trimmed = typeof content === 'string' ? content.trim() : ''
  if (trimmed === '') throw refusals.noContent()
  if (trimmed.length > 5000) throw refusals.contentTooLong()
  const clientMessageId = fromClientName(frame, 'clientMessageId')
  const tempId = fromClientName(frame, 'tempId')
  return {
    body: trimmed,
    messageType: fromMessageType(own(frame, 'messageType') ?? 'TEXT'),
    ...fromMetadata(frame),
    ...(clientMessageId !== undefined && { clientMessageId }),
    echo: {
      ...(clientMessageId !== undefined && { clientMessageId }),
      ...(tempId !== undefined && { tempId }),
    },
  }
}

function fromMessageType(type: unknown): MessageType {
  if (type !== 'TEXT' && type !== 'SYSTEM' && type !== 'FILE') throw refusals.invalidMessageType()
  return type
}

function fromClientName(frame: Json, field: string): string | undefined {
  const name = own(frame, field)
  if (name === undefined) return undefined
  if (typeof name !== 'string' || name === '' || name.length > limits.clientMessageIdLength)
    throw refusals.invalidClientName(field, limits.clientMessageIdLength)
  return name
}

/** Numbers of a query: what is none counts as not said, what is out of bounds as the bound. */
export function fromPaging(query: Json, usualLimit: number): { page: number; limit: number } {
  return {
    page: within(query.page, 1, 1, 1_000_000),
    limit: within(query.limit, usualLimit, 1, 100),
  }
}

function within(value: unknown, usual: number, least: number, most: number): number {
  const number = typeof value === 'string' ? Number.parseInt(value, 10) : Number.NaN
  return Number.isNaN(number) ? usual : Math.min(most, Math.max(least, number))
}

const own = (object: Json, key: string): unknown => (Object.hasOwn(object, key) ? object[key] : undefined)
