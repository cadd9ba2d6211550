import type {
  Attachment,
  Conversation,
  Message,
  MessageKind,
  Presence,
  Receipt,
  Role,
} from '@parley/protocol'
import type { Move } from '../../chat/receipts.ts'
import type { Face } from './faces.ts'
import { idOf } from './ids.ts'

export type PriyoRole = 'ADMIN' | 'AGENT' | 'CUSTOMER'
export type PriyoType = 'TEXT' | 'FILE' | 'IMAGE'

const roleNames: Record<Role, PriyoRole> = {
  owner: 'ADMIN',
  admin: 'ADMIN',
  supervisor: 'AGENT',
  agent: 'AGENT',
  bot: 'CUSTOMER',
  contact: 'CUSTOMER',
}
export const roleOf = (role: Role) => roleNames[role]

/** `USER` is an old name of the lowest role. */
export const fromRole = (role: unknown): 'admin' | 'agent' | 'contact' =>
  role === 'ADMIN' ? 'admin' : role === 'AGENT' ? 'agent' : 'contact'

const typeNames: Record<MessageKind, PriyoType> = {
  text: 'TEXT',
  system: 'TEXT',
  image: 'IMAGE',
  file: 'FILE',
  audio: 'FILE',
  video: 'FILE',
}
export const typeOf = (kind: MessageKind) => typeNames[kind]

/** Without a word about it, a message with a file is of the file's own type. */
export function fromType(type: unknown, mimeType: string | null): 'text' | 'file' | 'image' {
  if (type === 'IMAGE') return 'image'
  if (type === 'FILE') return 'file'
  if (mimeType === null || type === 'TEXT') return 'text'
  return mimeType.startsWith('image/') ? 'image' : 'file'
}

export const isOnline = ({ state }: Presence) => state === 'online' || state === 'away'

/** Somebody who has not been here since the server started was last seen when they came to be. */
export const lastSeenOf = (presence: Presence, createdAt: string) => presence.lastSeenAt ?? createdAt

export const userLite = (face: Face, presence: Presence) => ({
  id: idOf(face.userId),
  username: face.username,
  avatar: face.avatar,
  isOnline: isOnline(presence),
  lastSeen: lastSeenOf(presence, face.createdAt),
})

type Account = {
  id: string
  email: string | null
  username: string | null
  name: string
  avatar_url: string | null
  role: Role
  created_at: string
}

export const newAccount = (person: Account) => ({
  id: idOf(person.id),
  email: person.email,
  username: person.username ?? person.name,
  avatar: person.avatar_url,
  role: roleOf(person.role),
  createdAt: person.created_at,
})

export const account = (person: Account, presence: Presence) => ({
  id: idOf(person.id),
  email: person.email,
  username: person.username ?? person.name,
  avatar: person.avatar_url,
  role: roleOf(person.role),
  isOnline: isOnline(presence),
  lastSeen: lastSeenOf(presence, person.created_at),
  createdAt: person.created_at,
})

/** Only two people make a `DIRECT` one; a visitor's conversation may have more, and has a name. */
export const conversationHead = ({ id, kind, subject }: Conversation) => ({
  id: idOf(id),
  name: kind === 'direct' ? null : subject || null,
  type: kind === 'direct' ? 'DIRECT' : 'GROUP',
})

export const isActive = ({ status }: Pick<Conversation, 'status'>) =>
  status !== 'closed' && status !== 'archived'

/** Whether Priyo knows of it: notes are the team's own. */
export const isShown = ({ visibility }: Pick<Message, 'visibility'>) => visibility === 'everyone'

type FileUrl = (attachment: Attachment) => string

const fileOf = ({ attachments: [file] }: Message, urlOf: FileUrl) => ({
  fileUrl: file ? urlOf(file) : null,
  fileName: file?.name ?? null,
  fileSize: file?.size ?? null,
})

const metadataOf = ({ metadata }: Message) => (Object.keys(metadata).length > 0 ? metadata : null)

export const lastMessage = (message: Message, sender: Face, urlOf: FileUrl) => ({
  id: idOf(message.id),
  content: message.body,
  type: typeOf(message.kind),
  ...fileOf(message, urlOf),
  conversationId: idOf(message.conversationId),
  senderId: idOf(sender.userId),
  metadata: metadataOf(message),
  createdAt: message.createdAt,
  updatedAt: message.editedAt ?? message.createdAt,
  sender: { id: idOf(sender.userId), username: sender.username },
})

export const sentMessage = (message: Message, sender: Face) => ({
  id: idOf(message.id),
  content: message.body,
  type: typeOf(message.kind),
  sender: { id: idOf(sender.userId), username: sender.username, avatar: sender.avatar },
  createdAt: message.createdAt,
})

/** A line of the history, with who has read it when and whom it reached, from the moves of their marks. */
export function historyLine(
  message: Message,
  faceOf: (userId: string | null) => Face,
  moves: readonly Move[],
  urlOf: FileUrl,
) {
  const { createdAt, ...sent } = sentMessage(message, faceOf(message.senderId))
  const passed = moves.filter(
    ({ userId, from, to }) => userId !== message.senderId && from < message.seq && message.seq <= to,
  )
  const readAt = new Map<string, string>()
  for (const move of passed)
    if (move.kind === 'read' && !readAt.has(move.userId)) readAt.set(move.userId, move.at)
  return {
    ...sent,
    ...fileOf(message, urlOf),
    reads: [...readAt].map(([userId, at]) => ({
      user: { id: idOf(userId), username: faceOf(userId).username },
      readAt: at,
    })),
    deliveredTo: [...new Set(passed.map((move) => idOf(move.userId)))],
    createdAt,
  }
}

/** What authenticated sockets of a room hear of a message; what it has none of is left out. */
export function messageNew(message: Message, sender: Face, urlOf: FileUrl) {
  const [file] = message.attachments
  return {
    id: idOf(message.id),
    content: message.body,
    type: typeOf(message.kind),
    ...(file && { fileUrl: urlOf(file), fileName: file.name }),
    conversationId: idOf(message.conversationId),
    senderId: idOf(sender.userId),
    senderUsername: sender.username,
    createdAt: message.createdAt,
  }
}

/** On the widget's side there are two: the visitor, and whoever answers. A bot that answers is staff to the visitor. */
const sideOf = (message: Message, visitorId: string) => (message.senderId === visitorId ? 'user' : 'bot')
const senderRoleOf = (message: Message, sender: Face, visitorId: string): PriyoRole =>
  message.senderId === visitorId ? 'CUSTOMER' : sender.role === 'bot' ? 'AGENT' : roleOf(sender.role)

/** What sockets of a widget hear. `conversationId` is the name that the visitor knows it by. */
export const newMessage = (message: Message, sender: Face, visitorId: string, conversationId: string) => ({
  ...widgetLine(message, sender, visitorId),
  senderId: idOf(sender.userId),
  conversationId,
  isAI: false,
})

export const widgetLine = (message: Message, sender: Face, visitorId: string) => ({
  id: idOf(message.id),
  text: message.body,
  content: message.body,
  sender: sideOf(message, visitorId),
  senderRole: senderRoleOf(message, sender, visitorId),
  senderUsername: sender.username,
  timestamp: message.createdAt,
  type: typeOf(message.kind),
})

export const widgetHistoryLine = (message: Message, sender: Face, visitorId: string) => ({
  id: idOf(message.id),
  content: message.body,
  sender: sender.username,
  senderRole: senderRoleOf(message, sender, visitorId),
  timestamp: message.createdAt,
  type: typeOf(message.kind),
})

export const widgetSent = (message: Message) => ({
  id: idOf(message.id),
  content: message.body,
  sender: 'user',
  timestamp: message.createdAt,
  type: typeOf(message.kind),
})

/** Positions [from, to] that somebody has read. */
export type Span = [from: number, to: number]

export const readSpans = ({ read, readBeyond }: Pick<Receipt, 'read' | 'readBeyond'>): Span[] => [
  ...(read > 0 ? [[1, read] satisfies Span] : []),
  ...readBeyond.map(([from, to]): Span => [from, to]),
]

export const isWithin = (seq: number, spans: readonly Span[]) =>
  spans.some(([from, to]) => from <= seq && seq <= to)

/** What is in `now` and was not in `before`. */
export function newSpans(before: readonly Span[], now: readonly Span[]): Span[] {
  return before.reduce<Span[]>(
    (rest, [from, to]) =>
      rest.flatMap(([start, end]): Span[] => {
        if (to < start || end < from) return [[start, end]]
        const parts: Span[] = [
          [start, from - 1],
          [to + 1, end],
        ]
        return parts.filter(([first, last]) => first <= last)
      }),
    [...now],
  )
}
