import type {
  Attachment,
  Conversation,
  ConversationSummary,
  Event,
  InputOf,
  LogEvent,
  Message,
  MessageKind,
  OperationName,
  Participant,
  Presence,
  Receipt,
  ResultOf,
} from '@parley/protocol'
import type { ParleyError } from './error.ts'
import type { Store } from './store.ts'

/** Everything a program sees of the client, as types. Code is in the modules named like the nouns here. */

// ---- connecting ------------------------------------------------------------------------------------------------

export type TransportName = 'websocket' | 'sse' | 'poll'

/**
 * Where tokens come from. `refused` is a token that the server has just turned down: answer with another one, or
 * throw (or answer the same) to stop the connection. Ready-made: `visitorSession`; from `@parley/client/staff`
 * `staffSession` and `apiKey`.
 */
export interface Credentials {
  accessToken(refused?: string): Promise<string>
  /** Who the token belongs to, when known before the server says so. */
  userId?(): string | null
  /** Routes of operations beyond a visitor's; `@parley/client/staff` brings the team's. */
  readonly routes?: Readonly<Record<string, string>>
}

/** Strings that outlive the page. `browserStorage()` and `memoryStorage()` are ready-made. */
export interface ParleyStorage {
  get(key: string): string | null
  set(key: string, value: string): void
  remove(key: string): void
  keys(prefix: string): string[]
  /** Other tabs read and write the same. */
  readonly shared: boolean
}

export interface ConnectOptions {
  /** Where the server is, without `/api/v1`: `https://chat.example.com`, or '' for the page's own origin. */
  baseUrl: string
  credentials: Credentials
  /** Keeps unsent messages and what transport worked. Default: memory. Browsers: `browserStorage()`. */
  storage?: ParleyStorage
  /** Keeps several clients of one page or origin apart in `storage`. Default 'parley'. */
  namespace?: string
  /** The ladder, best first. Default: websocket, sse, poll. */
  transports?: readonly TransportName[]
  /** Hear every conversation I may see (lists need it), not only those opened. Default true. */
  feed?: boolean
  /** Begin at once. With false the state stays 'idle' until `start()`; calls go over REST. Default true. */
  start?: boolean
  /** Also keep what is not a message (assignments, joins, …) in `ConversationView.notices`. Default false. */
  notices?: boolean
  /** Tell senders that their messages arrived here. Default true. */
  receipts?: boolean
  /** Messages per page of history. Default 50. */
  pageSize?: number
  fetch?: typeof fetch
  WebSocket?: typeof WebSocket
}

/**
 * How the connection is. Every state holds only what exists in it.
 * - idle: not begun.
 * - connecting: a transport is opening, or the token is being fetched. `attempt` counts from 1 since last live.
 * - live: welcomed. Everything missed has been asked for and arrives in order.
 * - waiting: the next attempt starts at `retryAt` (ms), or sooner when the network or the page comes back.
 * - stopped: nothing more happens by itself. `reason` 'closed' is `close()`; else credentials or protocol failed.
 */
export type ConnectionState =
  | { readonly state: 'idle' }
  | { readonly state: 'connecting'; readonly transport: TransportName; readonly attempt: number }
  | {
      readonly state: 'live'
      readonly transport: TransportName
      readonly userId: string
      readonly connectionId: string
    }
  | {
      readonly state: 'waiting'
      readonly attempt: number
      readonly retryAt: number
      readonly error: ParleyError | null
    }
  | { readonly state: 'stopped'; readonly reason: StopReason; readonly error: ParleyError | null }

export type StopReason = 'closed' | 'unauthenticated' | 'revoked' | 'origin_refused' | 'protocol_error'

// ---- the client ------------------------------------------------------------------------------------------------

/** Files have their own way (`ConversationStore.upload`); their bytes are behind `Attachment.url`. */
export type CallName = Exclude<OperationName, 'attachment.upload' | 'attachment.download'>

/** Input is optional where nothing in it is required. */
// biome-ignore lint/complexity/noBannedTypes: `{}` asks "is everything optional?"
export type CallInput<N extends CallName> = {} extends InputOf<N> ? [input?: InputOf<N>] : [input: InputOf<N>]

export interface Parley {
  /** The state of the connection. */
  readonly state: Store<ConnectionState>
  /** My user id; null until a session or the server said so. */
  readonly me: Store<string | null>
  /** All conversations I may see. Loads when first subscribed to. */
  readonly list: ConversationList
  /** The same for a part of them (a view, an inbox, a status). One object per query. */
  lists(query: ListQuery): ConversationList
  /** One conversation. One object per id; it loads and follows while somebody subscribes to it. */
  conversation(conversationId: string): ConversationStore
  readonly presence: PresenceStore
  /**
   * Any operation of the API, typed. Over the live connection when there is one and it can; else over REST. Those
   * that only the team uses need credentials from `@parley/client/staff`.
   */
  call<N extends CallName>(name: N, ...input: CallInput<N>): Promise<ResultOf<N>>
  /** The raw stream below the stores: every event as it arrives, repeats included. */
  onEvent(listener: (event: Event) => void): () => void
  /** Begin, when `start: false` was given or after the connection stopped (signed in again). */
  start(): void
  /** Try now instead of at `retryAt`. */
  reconnect(): void
  /** End everything: socket, timers, listeners. What is unsent stays in `storage` for next time. */
  close(): void
}

// ---- lists -----------------------------------------------------------------------------------------------------

export type ListQuery = Omit<InputOf<'conversation.list'>, 'page' | 'limit'>

export type ListView = {
  /** idle: nobody subscribed yet. loading: first page is coming. ready. failed: see `error`; `reload()` tries again. */
  readonly phase: 'idle' | 'loading' | 'ready' | 'failed'
  /** Newest activity first. */
  readonly rows: readonly ConversationSummary[]
  /** Unread messages in `rows`. */
  readonly unread: number
  readonly hasMore: boolean
  readonly loadingMore: boolean
  readonly error: ParleyError | null
}

export interface ConversationList extends Store<ListView> {
  readonly query: ListQuery
  loadMore(): Promise<void>
  reload(): Promise<void>
}

// ---- one conversation ------------------------------------------------------------------------------------------

/**
 * What the sender sees beside a message. Of my own: queued (waits here), sending, failed (`error` says why; `retry`
 * or `discard`), sent (stored by the server), delivered, read (by at least one person of the other side).
 * Messages by others are always 'sent'.
 */
export type MessageStatus = 'queued' | 'sending' | 'failed' | 'sent' | 'delivered' | 'read'

/** A message to draw. `id` and `seq` are null while it is not stored; `key` stays the same from pending to stored. */
export type ShownMessage = Omit<Message, 'id' | 'seq'> & {
  readonly key: string
  readonly id: string | null
  readonly seq: number | null
  readonly mine: boolean
  readonly status: MessageStatus
  readonly error: ParleyError | null
}

export type Typist = { readonly userId: string; readonly name: string }

export type ConversationView = {
  readonly id: string
  /** idle, loading, ready; failed: see `error`, tries again when live; lost: I may no longer see it (`lostReason`). */
  readonly phase: 'idle' | 'loading' | 'ready' | 'failed' | 'lost'
  readonly lostReason: 'left' | 'revoked' | 'deleted' | null
  readonly error: ParleyError | null
  /** Null until loaded. Status, assignee, subject … are in here. */
  readonly conversation: Conversation | null
  /** Everybody who is or was here; `leftAt` tells. Before loading: those the list row names. */
  readonly participants: readonly Participant[]
  /** Ascending by position, then my pending ones in the order written. One that failed stays where it was written. */
  readonly messages: readonly ShownMessage[]
  /** By user id. */
  readonly receipts: Readonly<Record<string, Receipt>>
  /** Others who are typing now. */
  readonly typing: readonly Typist[]
  /** Everything up to here has been applied. */
  readonly seq: number
  /** The server has said that nothing is missing up to now. False while away or catching up. */
  readonly caughtUp: boolean
  readonly hasEarlier: boolean
  readonly loadingEarlier: boolean
  /** With `notices: true`: log entries that are not messages, over the span of `messages`, ascending. */
  readonly notices: readonly LogEvent[]
}

export type Draft = {
  body?: string
  kind?: Exclude<MessageKind, 'system'>
  replyToId?: string
  /** Uploaded before, by `upload`. */
  attachments?: readonly Attachment[]
  metadata?: Record<string, unknown>
  /** The composed message's own name. Give one made when composing began, and a double click is one message. */
  clientMessageId?: string
}

export interface ConversationStore extends Store<ConversationView> {
  readonly id: string
  /** Queues a message and shows it at once. Returns its clientMessageId, the `key` of the shown message. */
  send(draft: Draft): string
  /** The same for a note that only the team sees. */
  note(draft: Draft): string
  /** A failed message again, under the same clientMessageId. */
  retry(clientMessageId: string): void
  /** Forget a queued or failed message. */
  discard(clientMessageId: string): void
  upload(file: File | Blob, name?: string): Promise<Attachment>
  edit(messageId: string, body: string): Promise<void>
  retract(messageId: string): Promise<void>
  react(messageId: string, emoji: string, on?: boolean): Promise<void>
  /** Prepends a page of history. Calling again while one loads is the same call. */
  loadEarlier(): Promise<void>
  /** I have read up to `seq` (default: everything shown). Shown at once, told soon, kept until told. */
  markRead(seq?: number): void
  /** Call with true on every keystroke: it is told every 3 s at most, and stops by itself after 5 s of quiet. */
  setTyping(typing: boolean): void
  reload(): Promise<void>
}

// ---- presence --------------------------------------------------------------------------------------------------

/** Who is here, of the people being watched. Unknown people are absent. */
export interface PresenceStore extends Store<ReadonlyMap<string, Presence>> {
  /** Adds people to the watch until the returned function is called. */
  watch(userIds: readonly string[]): () => void
}
