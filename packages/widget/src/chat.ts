import {
  browserStorage,
  type ConnectionState,
  type ConversationStore,
  type ConversationView,
  connect,
  newId,
  type Parley,
  type ParleyError,
  type ParleyStorage,
  type ShownMessage,
  type VisitorSession,
  visitorSession,
} from '@parley/client'
import type { Attachment } from '@parley/protocol'
import { mayPassLater } from '@parley/protocol/errors'
import { currentOf, isOver } from './current.ts'
import { type Identity, namespaceOf, visitorKeyOf } from './embed.ts'
import { clientKeyOf, opening, shownOf } from './opening.ts'

/**
 * One visitor's chat with one inbox: the client's connection, which conversation is shown, and how a message finds a
 * conversation when there is none. The panel draws `get()` and calls the verbs; it keeps nothing itself.
 *
 * A message goes to the current conversation's outbox. Without one it waits in the `opening` until the server has been
 * asked what there is, then a conversation is opened and the message handed over. A message that a closed conversation
 * refuses moves on to the next conversation the same way; one closed not long ago opens again by itself.
 */
export type ChatView = {
  readonly connection: 'connecting' | 'live' | 'offline' | 'unreachable' | 'refused'
  readonly refusal: 'identity' | 'origin' | 'gone' | null
  readonly conversation: ConversationView | null
  /** Of the conversation, and after them what waits for one. */
  readonly messages: readonly ShownMessage[]
  readonly unread: number
  /** The conversation is closed or archived, and nothing newer waits to be sent. */
  readonly isOver: boolean
}

export type Chat = ReturnType<typeof openChat>

export type ChatOptions = {
  baseUrl: string
  widgetKey: string
  identity: Identity
  /** The team wrote something. */
  heard(message: { id: string; body: string }): void
  storage?: ParleyStorage
}

const againMs = 4_000
/** Answers of a conversation after which a message can still be sent: to another one. */
const moveOn = ['conversation_closed', 'conversation_archived', 'not_found']

/** Whether the same message may be taken another time. One that was to move on and could not must leave its files. */
export const isWorthRetrying = (error: ParleyError | null) =>
  !error || (mayPassLater(error) && !moveOn.includes(error.code))

export function openChat({ baseUrl, widgetKey, identity, heard, storage = browserStorage() }: ChatOptions) {
  const namespace = namespaceOf(widgetKey)
  const session: VisitorSession = visitorSession({
    baseUrl,
    widgetKey,
    storage,
    namespace,
    identity: identity ?? undefined,
  })
  const parley: Parley = connect({ baseUrl, credentials: session, storage, namespace })
  const first = opening(storage, namespace)
  const rememberKey = `${namespace}:conversation`
  const listeners = new Set<() => void>()
  const ending = new AbortController()

  let made: string | null = null
  let current: ConversationStore | null = null
  let stopCurrent = () => {}
  let handing: Promise<void> | null = null
  let againTimer: ReturnType<typeof setTimeout> | undefined
  let hasForgotten = false
  let compose: ((message: ShownMessage) => void) | null = null
  /** Set when the usual clientKey led to a conversation that is no longer there. */
  let ownKey: string | null = null
  let view = look()

  const stops = [
    parley.state.subscribe(stateChanged),
    parley.list.subscribe(listChanged),
    session.state.subscribe(listChanged),
    parley.onEvent((event) => {
      if (event.type !== 'message.created' || event.message.senderId === parley.me.get()) return
      heard({ id: event.message.id, body: event.message.body })
    }),
  ]
  const { signal } = ending
  window.addEventListener('storage', ({ key }) => first.owns(key) && change(), { signal })
  for (const event of ['online', 'offline']) window.addEventListener(event, () => change(), { signal })
  listChanged()

  // ---- hearing

  function stateChanged() {
    const now = parley.state.get()
    // A visitor the server no longer knows, perhaps since its data was set back, begins anew instead of being locked out.
    const isStranger = now.state === 'stopped' && now.reason === 'unauthenticated' && !identity
    if (isStranger && !hasForgotten && storage.get(visitorKeyOf(widgetKey))) {
      hasForgotten = true
      session.forget()
      parley.start()
    }
    change()
    if (now.state === 'live') handOver()
  }

  function listChanged() {
    const { phase, rows } = parley.list.get()
    const remembered = storage.get(rememberKey)
    const inboxId = session.state.get()?.inboxId ?? null
    const id = currentOf(phase === 'ready' ? rows : null, inboxId, { remembered, made })
    if (phase === 'ready' && rows.some(({ conversation }) => conversation.id === made)) made = null
    if (id !== (current?.id ?? null)) show(id)
    change()
    handOver()
  }

  function show(id: string | null) {
    stopCurrent()
    stopCurrent = () => {}
    current = id ? parley.conversation(id) : null
    if (id) storage.set(rememberKey, id)
    else storage.remove(rememberKey)
    if (current) stopCurrent = current.subscribe(currentChanged)
  }

  function currentChanged() {
    if (current?.get().phase === 'lost' && current.id === made) made = null
    change()
    for (const { status, error, key, body, attachments, createdAt } of current?.get().messages ?? []) {
      // A file belongs to the conversation it was uploaded to, so its message stays and says that it failed.
      if (status !== 'failed' || !error || !moveOn.includes(error.code) || attachments.length) continue
      first.add(key, body, current?.id ?? null, createdAt)
      current?.discard(key)
      handOver()
    }
  }

  // ---- from the opening into a conversation

  function handOver() {
    if (handing || !first.due().length || parley.state.get().state !== 'live') return
    if (parley.list.get().phase !== 'ready' || !session.state.get()) return
    handing = give().finally(() => {
      handing = null
      change()
    })
    change()
  }

  async function give() {
    try {
      const due = first.due()
      const refused = due.map((one) => one.refusedBy)
      const id = target(refused) ?? (await create(current?.id ?? refused.find((one) => one !== null) ?? null))
      const conversation = parley.conversation(id)
      for (const { clientMessageId, body } of due) {
        conversation.send({ clientMessageId, body })
        first.remove(clientMessageId)
      }
    } catch (thrown) {
      const error = thrown as ParleyError
      if (error.code === 'not_found' && !ownKey) ownKey = newId()
      else if (!error.retry && error.status !== 401) first.fail(error.message)
      clearTimeout(againTimer)
      againTimer = setTimeout(handOver, againMs)
    }
  }

  /** The current conversation, unless it is the one that has just said no. */
  function target(refused: readonly (string | null)[]): string | null {
    if (!current || current.get().phase === 'lost' || refused.includes(current.id)) return null
    return current.id
  }

  async function create(after: string | null): Promise<string> {
    const inboxId = session.state.get()?.inboxId ?? ''
    const clientKey = ownKey ?? clientKeyOf(inboxId, after)
    const { conversation } = await parley.call('conversation.create', { kind: 'support', inboxId, clientKey })
    ownKey = null
    made = conversation.id
    show(made)
    return made
  }

  // ---- looking

  function look(): ChatView {
    const shown = current?.get() ?? null
    const conversation = shown?.phase === 'lost' ? null : shown
    const state = parley.state.get()
    const known = new Set(conversation?.messages.map((one) => one.key))
    const waiting = first.all().filter((one) => !known.has(one.clientMessageId))
    const connection = connectionOf(state)
    const isLive = connection === 'live'
    const row = parley.list.get().rows.find((one) => one.conversation.id === current?.id)
    return {
      connection,
      refusal: refusalOf(state),
      conversation,
      messages: [
        ...(conversation?.messages ?? []).map(isLive ? same : halted),
        ...waiting.map((one) => shownOf(one, isLive)),
      ],
      unread: row?.unread ?? 0,
      isOver: isOver(conversation?.conversation ?? null) && !waiting.length,
    }
  }

  function change() {
    view = look()
    for (const listener of [...listeners]) listener()
  }

  // ---- doing

  function discard(clientMessageId: string) {
    first.remove(clientMessageId)
    current?.discard(clientMessageId)
    change()
  }

  return {
    get: () => view,
    subscribe(listener: () => void) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    /** `clientMessageId` was made when the message was begun, so that sending it twice is sending it once. */
    send(body: string, clientMessageId: string, attachments: readonly Attachment[] = []) {
      if (current && current.get().phase !== 'lost') current.send({ body, clientMessageId, attachments })
      else first.add(clientMessageId, body)
      change()
      handOver()
    },
    retry(clientMessageId: string) {
      if (first.retry(clientMessageId)) handOver()
      else current?.retry(clientMessageId)
      change()
    },
    discard,
    /** Out of the thread and back to whoever composes; while nobody does, it stays. */
    takeBack(clientMessageId: string) {
      const message = view.messages.find(({ key }) => key === clientMessageId)
      if (!message || !compose) return
      compose(message)
      discard(clientMessageId)
    },
    /** The one composer there is. Returns the way to stop. */
    onTakenBack(composer: (message: ShownMessage) => void) {
      compose = composer
      return () => {
        compose = null
      }
    },
    /** Needs a connection: a file is uploaded into a conversation, which is opened if there is none. */
    async upload(file: File): Promise<Attachment> {
      const id = target([]) ?? (await create(current?.id ?? null))
      return parley.conversation(id).upload(file)
    },
    setTyping: (typing: boolean) => current?.setTyping(typing),
    markRead: () => current?.markRead(),
    loadEarlier: () => current?.loadEarlier() ?? Promise.resolve(),
    identify(next: Identity) {
      identity = next
      made = ownKey = null
      session.identify(next)
      if (parley.state.get().state === 'stopped') parley.start()
      else parley.reconnect()
    },
    close() {
      ending.abort()
      clearTimeout(againTimer)
      stopCurrent()
      for (const stop of stops) stop()
      parley.close()
    },
  }
}

const same = (message: ShownMessage) => message

/** What was on its way when the connection went is waiting, as far as anybody can tell. */
const halted = (message: ShownMessage): ShownMessage =>
  message.status === 'sending' ? { ...message, status: 'queued' } : message

/** A first failed attempt is not worth a word; from the second on the visitor is told. */
function connectionOf(state: ConnectionState): ChatView['connection'] {
  if (state.state === 'stopped') return state.reason === 'closed' ? 'offline' : 'refused'
  if (navigator.onLine === false) return 'offline'
  if (state.state === 'live') return 'live'
  const failed =
    state.state === 'waiting' ? state.attempt >= 1 : state.state === 'connecting' && state.attempt >= 2
  return failed ? 'unreachable' : 'connecting'
}

function refusalOf(state: ConnectionState): ChatView['refusal'] {
  if (state.state !== 'stopped' || state.reason === 'closed') return null
  if (state.reason === 'origin_refused') return 'origin'
  if (state.error?.code === 'not_found') return 'gone'
  return state.reason === 'unauthenticated' || state.reason === 'revoked' ? 'identity' : 'gone'
}
