import type { Attachment, ConversationSummary, Event, Message } from '@parley/protocol'
import type { CallName, ConnectOptions, Parley } from './api.ts'
import { type ConnectionOptions, connection } from './connection.ts'
import { emptyReceipt } from './conversation.ts'
import { type OpenConversation, openConversation } from './conversation-store.ts'
import { errorFrom } from './error.ts'
import { http, routeOf, signed } from './http.ts'
import { conversationLists } from './list-store.ts'
import { marks } from './marks.ts'
import { type Entry, outbox } from './outbox.ts'
import { presenceStore } from './presence.ts'
import { realtimeRoutes } from './routes.ts'
import { memoryStorage } from './storage.ts'
import { Cell } from './store.ts'

/** The wiring: the only file that knows every part. `parts` is for tests. */
export function connect(options: ConnectOptions, parts: Pick<ConnectionOptions, 'transports'> = {}): Parley {
  const { credentials, storage = memoryStorage(), namespace = 'parley', baseUrl } = options
  const rest = http({ baseUrl, fetch: options.fetch })
  const me = new Cell<string | null>(credentials.userId?.() ?? null)
  const conversations = new Map<string, OpenConversation>()
  const listeners = new Set<(event: Event) => void>()
  const receipts = options.receipts ?? true

  const link = connection({
    credentials,
    storage,
    namespace,
    wire: { http: rest, WebSocket: options.WebSocket ?? globalThis.WebSocket },
    ladder: options.transports ?? ['websocket', 'sse', 'poll'],
    feed: options.feed ?? true,
    follows: () => [...conversations.values()].flatMap((one) => one.position() ?? []),
    welcomed,
    event: hear,
    caughtUp: (id, seq) => conversations.get(id)?.caughtUp(seq),
    reset,
    lost() {
      presence.lost()
      for (const one of conversations.values()) one.lost()
    },
    ...parts,
  })
  const live = () => link.state.get().state === 'live'

  const call = ask as Parley['call']

  const mark = marks(
    (conversationId, move) => call('receipt.move', { conversationId, ...move }),
    (id) => {
      lists.reset()
      reset(id)
    },
  )

  const box = outbox({
    storage,
    namespace,
    me: me.get,
    send,
    changed: (id) => conversations.get(id)?.change(),
    settled: (message) => conversations.get(message.conversationId)?.settled(message),
  })

  const lists = conversationLists({ call, me: me.get, position: link.startFrom, arrived })

  const presence = presenceStore((userIds) => link.command('presence.watch', { userIds }))

  // ---- asking

  async function ask(name: CallName, input: Record<string, unknown> = {}): Promise<unknown> {
    const { method, path, body } = routeOf(name, input, credentials.routes)
    if (name in realtimeRoutes && live()) {
      try {
        return await link.command(name, input)
      } catch (thrown) {
        // A question may be asked again over the other way; an act may have been done.
        if (method !== 'GET' || errorFrom(thrown).code !== 'disconnected') throw thrown
      }
    }
    const answer = await signed(credentials, (token) => rest.request(method, path, { token, body }))
    link.answered()
    return answer
  }

  function send({ name, conversationId, clientMessageId, draft }: Entry): Promise<Message> {
    const { attachments, ...content } = draft
    const attachmentIds = attachments.length ? attachments.map((one) => one.id) : undefined
    return call(name, { conversationId, clientMessageId, ...content, attachmentIds })
  }

  function upload(conversationId: string, file: Blob, name?: string): Promise<Attachment> {
    const body = new FormData()
    body.append('file', file, name)
    const { method, path } = routeOf('attachment.upload', { conversationId })
    return signed(credentials, (token) =>
      rest.request(method, path, { token, body, timeoutMs: uploadMs }),
    ) as Promise<Attachment>
  }

  // ---- hearing

  function hear(event: Event) {
    for (const listener of listeners) queueMicrotask(() => listener(event))
    if (event.type === 'presence.changed') return presence.changed(event.presence)
    const id = event.type === 'conversation.changed' ? event.summary.conversation.id : event.conversationId
    lists.hear(event)
    const looked = conversations.get(id)?.hear(event)
    if (event.type === 'message.created') {
      const { message } = event
      if (message.senderId !== me.get()) return delivered(id, message.seq)
      // A message written here, stored in a conversation that nobody looks at.
      if (message.clientMessageId && !looked) {
        conversations.get(id)?.settled(message)
        box.remove(message.clientMessageId, message)
      }
    }
  }

  /** A row says more than was heard live: what came while away has arrived now, too. */
  function arrived({ conversation, lastMessage, receipt }: ConversationSummary) {
    if (lastMessage && lastMessage.senderId !== me.get() && (receipt?.delivered ?? 0) < lastMessage.seq) {
      delivered(conversation.id, lastMessage.seq)
    }
  }

  /** Told by those who take part: an agent whose desk merely lists a conversation has not been given it. */
  function delivered(id: string, seq: number) {
    const row = lists.row(id)
    const part = row ? row.participants.some((one) => one.userId === me.get()) : conversations.has(id)
    if (receipts && part) mark.move(id, { delivered: seq, read: 0 })
  }

  function markRead(id: string, seq: number) {
    const userId = me.get()
    if (userId) {
      const receipt = { ...emptyReceipt(userId), read: seq, delivered: seq }
      const event = { type: 'receipt.moved', conversationId: id, receipt } as const
      lists.hear(event)
      conversations.get(id)?.hear(event)
    }
    mark.move(id, { read: seq, delivered: seq })
  }

  function welcomed(userId: string, resumed: boolean) {
    const another = me.get() !== null && me.get() !== userId
    me.set(userId)
    if (another) reset(null)
    else lists.welcomed(resumed)
    lists.change()
    for (const one of conversations.values()) {
      one.change()
      one.welcomed()
    }
    presence.welcomed()
    box.kick()
  }

  function reset(conversationId: string | null) {
    mark.reset()
    if (conversationId) return conversations.get(conversationId)?.reset()
    lists.reset()
    for (const one of conversations.values()) one.reset()
  }

  // ---- the door

  function conversation(id: string) {
    let one = conversations.get(id)
    if (!one) {
      one = openConversation({
        id,
        pageSize: options.pageSize ?? 50,
        withNotices: options.notices,
        call,
        command: link.command,
        live,
        me: me.get,
        row: () => lists.row(id),
        outbox: box,
        upload: (file, name) => upload(id, file, name),
        markRead: (seq) => markRead(id, seq),
      })
      conversations.set(id, one)
    }
    return one.store
  }

  // What an earlier page left unsent does not wait for a connection.
  box.kick()
  if (options.start ?? true) link.start()

  return {
    state: link.state,
    me,
    list: lists.list({}),
    lists: lists.list,
    conversation,
    presence: presence.store,
    call,
    onEvent(listener) {
      const own = (event: Event) => listener(event)
      listeners.add(own)
      return () => void listeners.delete(own)
    },
    start: link.start,
    reconnect: link.reconnect,
    close() {
      link.close()
      box.close()
      mark.close()
      lists.close()
      for (const one of conversations.values()) one.close()
    },
  }
}

const uploadMs = 300_000
