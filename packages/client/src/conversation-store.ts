import type { Event, LogEvent, Message } from '@parley/protocol'
import type { ConversationStore, ConversationView, Draft, Parley } from './api.ts'
import {
  apply,
  begin,
  type ConversationState,
  emptyConversation,
  extend,
  moveReceipt,
  settle,
  surround,
} from './conversation.ts'
import { errorFrom, ParleyError } from './error.ts'
import { newId } from './new-id.ts'
import type { Entry, Outbox } from './outbox.ts'
import { showMessages } from './shown.ts'
import { Cell } from './store.ts'
import { watchTyping } from './typing.ts'

/**
 * One conversation for somebody to draw: keeps the fold (`conversation.ts`) fed, and adds what is not in the log.
 *
 * - S1 while somebody subscribes it is loaded (newest page, then people and row) and followed from the page's position.
 *   Half a minute after the last one leaves, it is unfollowed; it keeps what it has, and resumes from there next time.
 * - S2 each connection's hello carries its position; what was missed arrives before `caughtup`. Until then `caughtUp` is
 *   false.
 * - S3 only followed entries are folded: an entry heard by the feed alone may have a gap before it. From the request
 *   to follow until `caughtup` entries of both come mixed; they are kept, and folded then in order of seq.
 * - S4 receipts have no position, so after each `caughtup` they are read once.
 *
 * How its messages are shown (S5, S6) is in `shown.ts`.
 */
export type ConversationOptions = {
  id: string
  pageSize: number
  withNotices?: boolean
  call: Parley['call']
  /** A command of the live connection. */
  command(type: string, input: object): Promise<unknown>
  live(): boolean
  me(): string | null
  row():
    | { conversation: ConversationView['conversation']; participants: ConversationView['participants'] }
    | undefined
  outbox: Outbox
  upload(file: Blob, name?: string): ReturnType<ConversationStore['upload']>
  /** Comes back as `receipt.moved`. */
  markRead(seq: number): void
}

const graceMs = 30_000
/** No log is that long: where nothing was loaded yet, a message stands at the end. */
const never = 1e9
/** After an answer that did not come, though the connection stands. */
const againMs = 5_000

export type OpenConversation = ReturnType<typeof openConversation>

export function openConversation(options: ConversationOptions) {
  const { id, call, outbox } = options
  let state: ConversationState = emptyConversation(id)
  let phase: ConversationView['phase'] = 'idle'
  let lostReason: ConversationView['lostReason'] = null
  let error: ParleyError | null = null
  let caughtUp = false
  let watched = false
  /** There is a position to follow from. */
  let placed = false
  /** This connection has been asked to follow; `asking` until it has answered. */
  let following = false
  let asking = false
  /** What was heard since asking and before `caughtup` (S3). */
  let catching: LogEvent[] = []
  let loading: Promise<void> | null = null
  let loadingEarlier: Promise<void> | null = null
  /** Entries heard while something is being fetched beside the log (F5). */
  const hearing = new Set<LogEvent[]>()
  let graceTimer: ReturnType<typeof setTimeout> | undefined
  let againTimer: ReturnType<typeof setTimeout> | undefined
  let closed = false
  const messages = showMessages(outbox, options.me)
  const typing = watchTyping(
    options.me,
    (on) => {
      if (options.live()) options.command('typing.set', { conversationId: id, typing: on }).catch(() => {})
    },
    change,
  )

  const cell = new Cell<ConversationView>(look(), (now) => {
    clearTimeout(graceTimer)
    if (now) {
      watched = true
      void resume()
    } else {
      graceTimer = setTimeout(unwatch, graceMs)
    }
  })

  function change() {
    cell.set(look())
  }

  // ---- loading and following

  /** Brings a watched conversation to where it should be, from wherever it is. */
  async function resume() {
    if (closed || phase === 'lost') return
    if (phase === 'idle' || phase === 'failed') await load()
    else if (following && caughtUp) await readReceipts()
    else follow()
  }

  function unwatch() {
    watched = false
    if (following) options.command('conversation.unfollow', { conversationId: id }).catch(() => {})
    leave()
    change()
  }

  function leave() {
    following = asking = caughtUp = false
    catching = []
  }

  function load(reset = false): Promise<void> {
    if (loading && !reset) return loading
    if (reset) {
      placed = false
      leave()
    }
    phase = 'loading'
    const mine: Promise<void> = fetchAll(reset, () => loading === mine && !closed).finally(() => {
      if (loading === mine) loading = null
    })
    loading = mine
    change()
    return mine
  }

  async function fetchAll(reset: boolean, current: () => boolean) {
    const heard: LogEvent[] = []
    // Let `loading` be set before anything can ask whether this load is the current one.
    await null
    try {
      hearing.add(heard)
      const page = await call('message.list', { conversationId: id, limit: options.pageSize })
      if (!current()) return
      state = heard.reduce(apply, begin(state, page, reset))
      for (const message of page.messages) settleOwn(message)
      const row = options.row()
      if (row && !state.participants.length) {
        state = { ...state, participants: row.participants, conversation: row.conversation }
      }
      placed = true
      error = null
      follow()
      change()
      const [{ participants }, { conversation }, notices] = await Promise.all([
        call('participant.list', { conversationId: id }),
        call('conversation.get', { conversationId: id }),
        noticesOf(page, page.lastSeq),
      ])
      if (!current()) return
      state = surround(state, { participants, conversation, notices }, heard)
      phase = 'ready'
    } catch (thrown) {
      if (!current()) return
      error = errorFrom(thrown)
      phase = 'failed'
      failed(error)
    } finally {
      hearing.delete(heard)
      change()
    }
  }

  function follow() {
    if (!watched || !placed || asking || (following && caughtUp) || !options.live()) return
    following = asking = true
    options.command('conversation.follow', { conversationId: id, after: state.seq }).catch((thrown) => {
      asking = false
      failed(errorFrom(thrown))
    })
  }

  function failed({ code, retry }: ParleyError) {
    if (code === 'not_found') return lose('revoked')
    clearTimeout(againTimer)
    if (retry && watched) againTimer = setTimeout(resume, againMs)
  }

  function lose(reason: NonNullable<ConversationView['lostReason']>) {
    phase = 'lost'
    lostReason = reason
    placed = false
    leave()
    change()
  }

  /** From a page's first message, or the very beginning, up to `last`. */
  async function noticesOf(page: { messages: Message[]; hasMore: boolean }, last: number) {
    const notices: LogEvent[] = []
    const first = (page.hasMore && page.messages[0]?.seq) || 1
    for (let after = first - 1; options.withNotices && after < last; ) {
      const { events, upTo } = await call('log.list', { conversationId: id, after, limit: 500 })
      notices.push(...events.filter((event) => event.seq <= last && !event.type.startsWith('message.')))
      if (upTo <= after) break
      after = upTo
    }
    return notices
  }

  function loadEarlier(): Promise<void> {
    if (!state.hasEarlier || !placed) return Promise.resolve()
    loadingEarlier ??= fetchEarlier().finally(() => {
      loadingEarlier = null
      change()
    })
    change()
    return loadingEarlier
  }

  async function fetchEarlier() {
    const heard: LogEvent[] = []
    const first = state.messages[0]?.seq ?? 0
    const before = loading
    hearing.add(heard)
    try {
      const page = await call('message.list', { conversationId: id, before: first, limit: options.pageSize })
      const notices = await noticesOf(page, first - 1)
      // Loaded anew meanwhile: this page no longer joins the window.
      if (loading !== before || state.messages[0]?.seq !== first) return
      state = extend(state, page, heard)
      state = { ...state, notices: [...notices, ...state.notices] }
    } finally {
      hearing.delete(heard)
    }
  }

  // ---- hearing

  /** True if somebody looks: then a pending message stays until its stored form is here, and is settled here. */
  function hear(event: Exclude<Event, { type: 'presence.changed' }>): boolean {
    switch (event.type) {
      case 'receipt.moved':
        state = moveReceipt(state, event.receipt)
        break
      case 'typing.changed':
        typing.hear(event.userId, event.name, event.typing)
        break
      case 'conversation.lost':
        lose(event.reason)
        break
      case 'conversation.changed':
        if (phase === 'lost') {
          phase = 'idle'
          lostReason = null
          // What I read meanwhile the server has refused.
          state = { ...state, receipts: {} }
          if (watched) void load()
        }
        break
      default:
        // What only a newer server tells (SPEC B7) need not be an entry of the log.
        if (following && 'seq' in event) {
          if (caughtUp) fold([event])
          else catching.push(event)
        }
    }
    change()
    return watched
  }

  function fold(events: readonly LogEvent[]) {
    for (const event of events) {
      for (const heard of hearing) heard.push(event)
      state = apply(state, event)
      if (event.type === 'message.created') {
        settleOwn(event.message)
        typing.forget(event.message.senderId)
      }
      if (event.type === 'conversation.deleted') lose('deleted')
    }
  }

  function settleOwn(message: Message) {
    if (message.clientMessageId && message.senderId === options.me())
      outbox.remove(message.clientMessageId, message)
  }

  async function heardCaughtUp(seq: number) {
    caughtUp = true
    fold(catching.toSorted((a, b) => a.seq - b.seq))
    catching = []
    // A contact's position passes the notes it may not see.
    state = { ...state, seq: Math.max(state.seq, seq) }
    change()
    await readReceipts()
  }

  async function readReceipts() {
    try {
      const { receipts } = await call('receipt.list', { conversationId: id })
      state = receipts.reduce(moveReceipt, state)
      change()
    } catch (thrown) {
      failed(errorFrom(thrown))
    }
  }

  // ---- looking

  function look(): ConversationView {
    return {
      ...state,
      phase,
      lostReason,
      error,
      messages: messages.all(state),
      typing: typing.all(),
      caughtUp,
      loadingEarlier: loadingEarlier !== null,
    }
  }

  // ---- writing

  function write(name: Entry['name'], given: Draft): string {
    const { clientMessageId = newId(), attachments = [], ...rest } = given
    // What the store could not keep byte for byte is refused by the server; pasted text may hold it.
    const body = rest.body?.toWellFormed().replaceAll('\0', '')
    if (!body && !attachments.length)
      throw new ParleyError('invalid_request', 'There is nothing to send.', false)
    if (outbox.has(clientMessageId) || messages.has(clientMessageId)) return clientMessageId
    typing.set(false)
    const draft = { ...rest, body, attachments }
    outbox.add({ clientMessageId, conversationId: id, name, after: state.seq || never, draft })
    return clientMessageId
  }

  const store: ConversationStore = {
    id,
    get: cell.get,
    subscribe: cell.subscribe,
    send: (draft) => write('message.send', draft),
    note: (draft) => write('message.note', draft),
    retry: (clientMessageId) => outbox.retry(clientMessageId),
    discard: (clientMessageId) => outbox.remove(clientMessageId),
    upload: options.upload,
    edit: (messageId, body) => call('message.edit', { messageId, body }).then(() => {}),
    retract: (messageId) => call('message.retract', { messageId }).then(() => {}),
    react: (messageId, emoji, on = true) =>
      call(on ? 'message.react' : 'message.unreact', { messageId, emoji }).then(() => {}),
    loadEarlier,
    markRead(seq = state.messages.at(-1)?.seq ?? 0) {
      const me = options.me()
      if (seq > ((me && state.receipts[me]?.read) || 0)) options.markRead(seq)
    },
    setTyping: typing.set,
    reload: () => load(),
  }

  return {
    store,
    hear,
    change,
    /** Its place in the hello; it counts as asked for. */
    position() {
      leave()
      following = asking = watched && placed
      return following ? { conversationId: id, after: state.seq } : null
    },
    welcomed() {
      if (watched) void resume()
    },
    lost() {
      leave()
      typing.forget()
      change()
    },
    caughtUp(seq: number) {
      if (following) void heardCaughtUp(seq)
    },
    reset() {
      if (phase === 'idle' || phase === 'lost') return
      if (watched) void load(true)
      else {
        state = emptyConversation(id)
        phase = 'idle'
        placed = false
        change()
      }
    },
    settled(message: Message) {
      state = settle(state, message)
      change()
    },
    close() {
      closed = true
      clearTimeout(graceTimer)
      clearTimeout(againTimer)
      typing.close()
    },
  }
}
