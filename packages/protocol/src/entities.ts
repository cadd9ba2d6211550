import { type Static, Type } from 'typebox'
import { ClientMessageId, Cursor, Id, Instant, Metadata, Nullable, Origin, Seq } from './scalars.ts'

/** From highest to lowest; nobody grants their own rank or above (owners excepted, who may make owners). */
export const roles = ['owner', 'admin', 'supervisor', 'agent', 'bot', 'contact'] as const
export const Role = Type.Enum([...roles])
export type Role = Static<typeof Role>

export const ParticipantRole = Type.Enum(['contact', 'agent', 'bot'])
export type ParticipantRole = Static<typeof ParticipantRole>

export const RegistrationMode = Type.Enum(['customer_only', 'invite', 'pending', 'closed', 'open_demo'])
export type RegistrationMode = Static<typeof RegistrationMode>

export const ConversationKind = Type.Enum(['support', 'direct', 'group'])
export type ConversationKind = Static<typeof ConversationKind>

export const ConversationStatus = Type.Enum(['open', 'assigned', 'snoozed', 'closed', 'archived'])
export type ConversationStatus = Static<typeof ConversationStatus>

export const MessageKind = Type.Enum(['text', 'file', 'image', 'audio', 'video', 'system'])
export type MessageKind = Static<typeof MessageKind>

/** `agents`: a note. Contacts never receive it, so they see holes in the numbering. */
export const Visibility = Type.Enum(['everyone', 'agents'])
export type Visibility = Static<typeof Visibility>

export const Workspace = Type.Object({
  id: Id,
  slug: Type.String(),
  name: Type.String(),
  registration: RegistrationMode,
  createdAt: Instant,
})
export type Workspace = Static<typeof Workspace>

export const User = Type.Object({
  id: Id,
  name: Type.String(),
  role: Role,
  email: Nullable(Type.String()),
  username: Nullable(Type.String()),
  externalId: Nullable(Type.String()),
  avatarUrl: Nullable(Type.String()),
  verified: Type.Boolean({
    description: 'The identity was proven: a password, a signed token; not merely claimed.',
  }),
  metadata: Metadata,
  createdAt: Instant,
  deactivatedAt: Nullable(Instant),
})
export type User = Static<typeof User>

export const Inbox = Type.Object({
  id: Id,
  name: Type.String(),
  kind: Type.String({ description: 'What stands behind it: `team`, or a word of the workspace’s own.' }),
  widgetKey: Type.String(),
  origins: Type.Array(Origin, { description: 'Pages that may embed the widget; empty means every origin.' }),
  greeting: Type.String(),
  color: Type.String(),
  identityRequired: Type.Boolean({ description: 'Visitors need a signed identity on every transport.' }),
  reopenHours: Type.Integer({
    description: 'A message from a contact reopens a closed conversation within this time; 0 never.',
  }),
  createdAt: Instant,
})
export type Inbox = Static<typeof Inbox>

export const InboxMember = Type.Object({
  userId: Id,
  name: Type.String(),
  role: Type.Enum(['member', 'supervisor']),
  addedAt: Instant,
})
export type InboxMember = Static<typeof InboxMember>

export const Attachment = Type.Object({
  id: Id,
  name: Type.String(),
  size: Type.Integer(),
  mimeType: Type.String({ description: 'Found from the bytes, not from what the sender said.' }),
  sha256: Type.String(),
  width: Nullable(Type.Integer()),
  height: Nullable(Type.Integer()),
  url: Type.String({ description: 'Signed path of the file; expires.' }),
  thumbnailUrl: Nullable(Type.String()),
})
export type Attachment = Static<typeof Attachment>

export const Reaction = Type.Object({ emoji: Type.String(), userIds: Type.Array(Id) })

export const Message = Type.Object({
  id: Id,
  conversationId: Id,
  seq: Seq,
  senderId: Nullable(Id),
  senderRole: Type.Enum(['contact', 'agent', 'bot', 'system']),
  clientMessageId: Nullable(ClientMessageId),
  kind: MessageKind,
  body: Type.String({ description: 'Plain text, byte for byte as sent; empty once retracted.' }),
  visibility: Visibility,
  replyToId: Nullable(Id),
  metadata: Metadata,
  attachments: Type.Array(Attachment),
  reactions: Type.Array(Reaction),
  createdAt: Instant,
  editedAt: Nullable(Instant),
  retractedAt: Nullable(Instant),
})
export type Message = Static<typeof Message>

export const Participant = Type.Object({
  userId: Id,
  name: Type.String(),
  avatarUrl: Nullable(Type.String()),
  role: ParticipantRole,
  joinedAt: Instant,
  leftAt: Nullable(Instant),
})
export type Participant = Static<typeof Participant>

/** High-water marks of one person in one conversation: `read ≤ delivered ≤ lastSeq` (SPEC R3). */
export const Receipt = Type.Object({
  userId: Id,
  delivered: Seq,
  read: Seq,
  deliveredAt: Nullable(Instant),
  readAt: Nullable(Instant),
  allReadAt: Nullable(Instant),
  readBeyond: Type.Array(Type.Tuple([Seq, Seq]), {
    description: 'Ranges [from, to] read out of order, above `read`; they fold into it as it catches up.',
  }),
})
export type Receipt = Static<typeof Receipt>

export const Conversation = Type.Object({
  id: Id,
  kind: ConversationKind,
  inboxId: Nullable(Id),
  topic: Type.String(),
  status: ConversationStatus,
  subject: Type.String(),
  priority: Type.Integer({ description: '0 is usual; higher is sooner.' }),
  metadata: Metadata,
  assigneeId: Nullable(Id),
  createdBy: Nullable(Id),
  grantRequired: Type.Boolean(),
  lastSeq: Seq,
  createdAt: Instant,
  updatedAt: Instant,
  closedAt: Nullable(Instant),
})
export type Conversation = Static<typeof Conversation>

/** A conversation as one person sees it in a list. */
export const ConversationSummary = Type.Object({
  conversation: Conversation,
  participants: Type.Array(Participant, { description: 'The first 20 who have not left.' }),
  lastMessage: Nullable(Message),
  unread: Type.Integer({
    description:
      'Messages by others above my read position; not those read out of order, retracted ones or system messages.',
  }),
  receipt: Nullable(Receipt),
})
export type ConversationSummary = Static<typeof ConversationSummary>

export const Grant = Type.Object({
  id: Id,
  kind: Type.String(),
  userIds: Type.Tuple([Id, Id]),
  scopes: Type.Array(Type.Enum(['read', 'write', 'attach', 'call'])),
  startsAt: Nullable(Instant),
  endsAt: Nullable(Instant),
  endedAt: Nullable(Instant),
  externalRef: Nullable(Type.String()),
})
export type Grant = Static<typeof Grant>

export const Invitation = Type.Object({
  id: Id,
  email: Nullable(Type.String()),
  role: Role,
  inboxIds: Type.Array(Id),
  expiresAt: Instant,
  acceptedAt: Nullable(Instant),
})
export type Invitation = Static<typeof Invitation>

export const IdentityKey = Type.Object({
  id: Id,
  kind: Type.Enum(['hs256', 'rs256', 'eddsa', 'jwks']),
  inboxId: Nullable(Id),
  issuer: Nullable(Type.String()),
  audience: Nullable(Type.String()),
  userIdClaim: Type.String(),
  createdAt: Instant,
})
export type IdentityKey = Static<typeof IdentityKey>

export const ApiKey = Type.Object({
  id: Id,
  name: Type.String(),
  role: Role,
  createdAt: Instant,
  lastUsedAt: Nullable(Instant),
})
export type ApiKey = Static<typeof ApiKey>

export const AuditEntry = Type.Object({
  id: Id,
  at: Instant,
  actorId: Nullable(Id),
  action: Type.String(),
  targetType: Type.String(),
  targetId: Nullable(Type.String()),
  before: Type.Unknown(),
  after: Type.Unknown(),
  address: Nullable(Type.String()),
})
export type AuditEntry = Static<typeof AuditEntry>

export const Presence = Type.Object({
  userId: Id,
  state: Type.Enum(['online', 'away', 'offline', 'unknown']),
  lastSeenAt: Nullable(Instant),
})
export type Presence = Static<typeof Presence>

export const Tokens = Type.Object({
  accessToken: Type.String(),
  expiresAt: Instant,
  refreshToken: Type.String(),
})
export type Tokens = Static<typeof Tokens>

export const Session = Type.Object({ user: User, workspace: Workspace, tokens: Tokens })
export type Session = Static<typeof Session>

export const ConversationPage = Type.Object({
  conversations: Type.Array(ConversationSummary),
  nextPage: Nullable(Cursor),
  cursor: Type.String({ description: 'Give it to `hello` to hear everything that changed after this list.' }),
})
export type ConversationPage = Static<typeof ConversationPage>
