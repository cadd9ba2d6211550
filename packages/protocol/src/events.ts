import { type Static, Type } from 'typebox'
import { ConversationSummary, Message, Participant, Presence, Receipt } from './entities.ts'
import { type CloseReason, closeCodes } from './errors.ts'
import { ClientMessageId, Id, Instant, Metadata, Nullable, Seq } from './scalars.ts'

const logged = {
  conversationId: Id,
  seq: Seq,
  at: Instant,
  actorId: Nullable(Id),
}

const ConversationChanges = Type.Partial(
  Type.Object({
    status: Type.Enum(['open', 'assigned', 'snoozed', 'closed', 'archived']),
    assigneeId: Nullable(Id),
    subject: Type.String(),
    topic: Type.String(),
    priority: Type.Integer(),
    metadata: Metadata,
    closedAt: Nullable(Instant),
  }),
)

/** The log (SPEC §2): these carry a `seq`, are stored before anybody hears them, and come back on resume. */
export const LogEvent = Type.Union([
  Type.Object({
    type: Type.Literal('conversation.created', { description: 'The first entry of every conversation.' }),
    ...logged,
  }),
  Type.Object({
    type: Type.Literal('conversation.updated', {
      description:
        'Status, assignee, subject, topic, priority or metadata changed; `changes` holds the new values, metadata as a whole. What it does not name stays.',
    }),
    ...logged,
    changes: ConversationChanges,
  }),
  Type.Object({
    type: Type.Literal('conversation.deleted', {
      description: 'Deleted for all: content is gone, nothing follows this entry.',
    }),
    ...logged,
  }),
  Type.Object({
    type: Type.Literal('participant.joined', {
      description: 'Somebody came in, or came back; this stay replaces an earlier one.',
    }),
    ...logged,
    participant: Participant,
  }),
  Type.Object({
    type: Type.Literal('participant.left', {
      description: 'Somebody left or was removed. `leftAt` becomes `at`.',
    }),
    ...logged,
    userId: Id,
  }),
  Type.Object({
    type: Type.Literal('message.created', {
      description: 'A message or a note, as it is now: later entries may say again what it holds already.',
    }),
    ...logged,
    message: Message,
  }),
  Type.Object({
    type: Type.Literal('message.edited', {
      description: 'The text of an earlier message changed. `editedAt` becomes `at`.',
    }),
    ...logged,
    messageId: Id,
    body: Type.String(),
  }),
  Type.Object({
    type: Type.Literal('message.retracted', {
      description:
        'An earlier message was emptied; its place stays. `body` becomes empty, `metadata` `{}`, attachments and reactions none, `retractedAt` `at`.',
    }),
    ...logged,
    messageId: Id,
  }),
  Type.Object({
    type: Type.Literal('message.reacted', { description: 'Somebody added or took back a reaction.' }),
    ...logged,
    messageId: Id,
    userId: Id,
    emoji: Type.String(),
    removed: Type.Boolean(),
  }),
])
export type LogEvent = Static<typeof LogEvent>

/** State that merges by itself whatever the order of arrival, and weather that is never stored (SPEC §3, §4). */
export const LiveEvent = Type.Union([
  Type.Object({
    type: Type.Literal('receipt.moved', {
      description:
        'A delivered or read position moved forward. Merge by maximum. Told to those who follow, and to all connections of whose it is.',
    }),
    conversationId: Id,
    receipt: Receipt,
    newlyRead: Type.Optional(
      Type.Array(Type.Tuple([Seq, Seq]), {
        description:
          'Ranges [from, to] that this move read and that had not been read before. Missing when only the outcome is known.',
      }),
    ),
  }),
  Type.Object({
    type: Type.Literal('conversation.changed', {
      description:
        'The whole current state of a list row, told on resume and when a conversation comes into view.',
    }),
    summary: ConversationSummary,
  }),
  Type.Object({
    type: Type.Literal('conversation.lost', {
      description: 'You may no longer see this conversation: you left, were removed, or a grant ended.',
    }),
    conversationId: Id,
    reason: Type.Enum(['left', 'revoked', 'deleted']),
  }),
  Type.Object({
    type: Type.Literal('typing.changed', { description: 'Expires by itself after `limits.typingMs`.' }),
    conversationId: Id,
    userId: Id,
    name: Type.String(),
    typing: Type.Boolean(),
  }),
  Type.Object({
    type: Type.Literal('presence.changed', { description: 'Of a person named in `presence.watch`.' }),
    presence: Presence,
  }),
])
export type LiveEvent = Static<typeof LiveEvent>
export type Event = LogEvent | LiveEvent

/** Frames about the connection itself (SPEC §5). */
export const ControlFrame = Type.Union([
  Type.Object({
    type: Type.Literal('welcome', { description: 'The answer to `hello`; everything after it is live.' }),
    connectionId: Id,
    userId: Id,
    cursor: Type.String(),
    heartbeatMs: Type.Integer(),
    protocol: Type.Integer(),
  }),
  Type.Object({
    type: Type.Literal('reply', { description: 'The outcome of the command with the same `id`.' }),
    id: Type.Integer(),
    ok: Type.Boolean(),
    result: Type.Optional(Type.Unknown({ description: 'The answer of the command, if it has one.' })),
    error: Type.Optional(Type.Unknown({ description: 'ErrorDetail. Missing when `ok`.' })),
  }),
  Type.Object({
    type: Type.Literal('heartbeat', {
      description:
        '`cursor` is a list position that this connection has been told up to; `sent` counts its events.',
    }),
    cursor: Type.String(),
    sent: Type.Integer(),
  }),
  Type.Object({
    type: Type.Literal('caughtup', {
      description: 'Everything of this conversation up to `seq` has been sent; what follows is live.',
    }),
    conversationId: Id,
    seq: Seq,
  }),
  Type.Object({
    type: Type.Literal('reset', {
      description:
        'The position cannot be resumed (SPEC R12). Fetch again; with a conversationId only that one, which is not followed any more.',
    }),
    conversationId: Nullable(Id),
    reason: Type.Enum(['epoch', 'too_old', 'position_ahead', 'access']),
  }),
  Type.Object({
    type: Type.Literal('goodbye', {
      description: 'The server will close; reconnect after a random delay of up to `withinMs`.',
    }),
    reason: Type.String(),
    withinMs: Type.Integer(),
  }),
  Type.Object({
    type: Type.Literal('close', {
      description: 'The last frame of a stream or poll, which have no close code: why it ends.',
    }),
    reason: Type.Enum(Object.keys(closeCodes) as CloseReason[]),
  }),
])
export type ControlFrame = Static<typeof ControlFrame>
export type ServerFrame = Event | ControlFrame

/** What a client sends first on any realtime transport. The token travels here, never in a URL. */
export const Hello = Type.Object(
  {
    type: Type.Literal('hello'),
    token: Type.String({ minLength: 1, maxLength: 8192 }),
    protocol: Type.Optional(Type.Literal(1, { description: 'The one that this document is about.' })),
    feed: Type.Optional(
      Type.Boolean({
        description:
          'Hear the log of every conversation in my lists, not only of followed ones. Default true.',
      }),
    ),
    cursor: Type.Optional(
      Type.String({
        maxLength: 200,
        description: 'From a list, a welcome or a heartbeat: hear what changed since.',
      }),
    ),
    follow: Type.Optional(
      Type.Array(Type.Object({ conversationId: Id, after: Seq }, { additionalProperties: false }), {
        maxItems: 200,
      }),
    ),
  },
  { additionalProperties: false },
)
export type Hello = Static<typeof Hello>

/** The client's half of the heartbeat. `received` is the number of event frames seen on this connection. */
export const Beat = Type.Object(
  {
    type: Type.Literal('heartbeat'),
    received: Type.Optional(
      Type.Integer({ minimum: 0, description: 'How many events this connection has brought.' }),
    ),
  },
  { additionalProperties: false },
)
export type Beat = Static<typeof Beat>

export const NewMessage = {
  clientMessageId: ClientMessageId,
  body: Type.Optional(Type.String({ description: 'May be empty only when there are attachments.' })),
  kind: Type.Optional(Type.Enum(['text', 'file', 'image', 'audio', 'video'])),
  replyToId: Type.Optional(Id),
  attachmentIds: Type.Optional(Type.Array(Id, { maxItems: 10 })),
  metadata: Type.Optional(Metadata),
}
