import type { Attachment, Message } from '@parley/protocol'
import type { Draft, ParleyStorage } from './api.ts'
import { errorFrom, type ParleyError } from './error.ts'
import { compare } from './list.ts'
import { alone } from './storage.ts'

/**
 * What has been written and is not yet known to be stored. Nothing typed is ever lost.
 *
 * An entry is queued → sending → gone (settled), or → queued again (no answer, or one that says to retry), or → failed
 * (an answer that says why not), from where `retry` queues it again and `discard` drops it.
 *
 * - O1 an entry is in the storage before anybody tries to send it, one key per entry, and leaves it when the message is
 *   known to be stored: by the answer, by the event, or by a page that holds it, whichever comes first.
 * - O2 in one conversation entries go out one after the other in the order written; a failed one is stepped over.
 * - O3 every attempt carries the same clientMessageId, so repeating is safe: after a lost answer, after a reload, from
 *   two tabs. Locks between tabs save work and are not needed for being right.
 * - O4 entries belong to who wrote them: signed in as somebody else, they wait.
 * - O5 a refusal of the token is not a refusal of the message: it waits for the next sign-in.
 * - O6 other tabs show the entry too, and send it should this tab be gone.
 */
export type Entry = {
  readonly clientMessageId: string
  readonly conversationId: string
  readonly name: 'message.send' | 'message.note'
  readonly draft: Omit<Draft, 'clientMessageId' | 'attachments'> & { attachments: readonly Attachment[] }
  readonly userId: string | null
  /** The seq in sight when it was written. */
  readonly after: number
  /** Of two that wait in one conversation, the later one's is later, whatever the clock says. */
  readonly createdAt: string
  readonly state: 'queued' | 'sending' | 'failed'
  readonly error: ParleyError | null
}

export type OutboxOptions = {
  storage: ParleyStorage
  namespace: string
  me(): string | null
  /** Fails with a ParleyError. */
  send(entry: Entry): Promise<Message>
  /** Entries of this conversation have changed. */
  changed(conversationId: string): void
  /** Stored, told by an answer here or in another tab. */
  settled(message: Message): void
}

type Word = { put: Entry } | { gone: string; message?: Message }

export type Outbox = ReturnType<typeof outbox>

export function outbox(options: OutboxOptions) {
  const { storage } = options
  const prefix = `${options.namespace}:outbox:`
  const entries = new Map<string, Entry>()
  const running = new Set<string>()
  const timers = new Map<string, ReturnType<typeof setTimeout>>()
  const tries = new Map<string, number>()
  let channel =
    storage.shared && globalThis.BroadcastChannel ? new BroadcastChannel(`${options.namespace}:outbox`) : null
  let closed = false

  for (const key of storage.keys(prefix)) {
    const entry = read(storage.get(key))
    if (entry) entries.set(entry.clientMessageId, entry)
  }

  if (channel) {
    channel.onmessage = ({ data }: MessageEvent<Word>) => {
      if ('gone' in data) {
        if (data.message) options.settled(data.message)
        forget(data.gone)
      } else if (data.put) {
        const entry = revive(data.put)
        entries.set(entry.clientMessageId, entry)
        options.changed(entry.conversationId)
        later(entry.conversationId, 5_000)
      }
    }
  }

  const mine = (entry: Entry) => !entry.userId || !options.me() || entry.userId === options.me()

  const of = (conversationId: string) =>
    [...entries.values()]
      .filter((entry) => entry.conversationId === conversationId && mine(entry))
      .sort((a, b) => compare(a.createdAt, b.createdAt))

  /** O1 */
  function put(entry: Entry) {
    entries.set(entry.clientMessageId, entry)
    const text = JSON.stringify(entry)
    storage.set(prefix + entry.clientMessageId, text)
    channel?.postMessage({ put: JSON.parse(text) })
    options.changed(entry.conversationId)
  }

  function forget(clientMessageId: string) {
    const entry = entries.get(clientMessageId)
    if (!entry) return
    entries.delete(clientMessageId)
    options.changed(entry.conversationId)
  }

  function remove(clientMessageId: string, message?: Message) {
    if (!entries.has(clientMessageId)) return
    storage.remove(prefix + clientMessageId)
    channel?.postMessage({ gone: clientMessageId, message })
    forget(clientMessageId)
  }

  /** O2: one run per conversation at a time, here and (with locks) over all tabs. */
  async function run(conversationId: string) {
    if (closed || running.has(conversationId) || !next(conversationId)) return
    running.add(conversationId)
    clearTimeout(timers.get(conversationId))
    let again: number | null = null
    try {
      await alone(prefix + conversationId, async () => {
        for (
          let entry = next(conversationId);
          entry && again === null && !closed;
          entry = next(conversationId)
        ) {
          // Another tab has sent or discarded it while we waited for our turn.
          if (storage.get(prefix + entry.clientMessageId) === null) forget(entry.clientMessageId)
          else again = await attempt(entry)
        }
      })
    } finally {
      running.delete(conversationId)
    }
    if (again !== null) later(conversationId, again)
    else if (next(conversationId)) void run(conversationId)
  }

  const next = (conversationId: string) => of(conversationId).find((entry) => entry.state !== 'failed')

  /** Null: go on with the next one. A number: wait so long, then the same again. */
  async function attempt(entry: Entry): Promise<number | null> {
    const { clientMessageId, conversationId } = entry
    put({ ...entry, state: 'sending', error: null })
    try {
      const message = await options.send(entry)
      tries.delete(conversationId)
      options.settled(message)
      remove(clientMessageId, message)
      return null
    } catch (thrown) {
      const error = errorFrom(thrown)
      // Settled by its event meanwhile, or discarded.
      if (!entries.has(clientMessageId)) return null
      const waits = error.retry || error.status === 401
      put({ ...entry, state: waits ? 'queued' : 'failed', error: waits ? null : error })
      if (!waits) return null
      const count = (tries.get(conversationId) ?? 0) + 1
      tries.set(conversationId, count)
      const told = (Number(error.details.retryAfter) || 0) * 1_000
      return told + Math.random() * Math.min(30_000, 1_000 * 2 ** count)
    }
  }

  function later(conversationId: string, ms: number) {
    clearTimeout(timers.get(conversationId))
    timers.set(
      conversationId,
      setTimeout(() => void run(conversationId), ms),
    )
  }

  return {
    of,
    has: (clientMessageId: string) => entries.has(clientMessageId),
    add(entry: Omit<Entry, 'userId' | 'createdAt' | 'state' | 'error'>) {
      // NaN if nothing waits.
      const last = Date.parse(of(entry.conversationId).at(-1)?.createdAt ?? '')
      const createdAt = new Date(Math.max(Date.now(), last + 1 || 0)).toISOString()
      put({ ...entry, userId: options.me(), createdAt, state: 'queued', error: null })
      void run(entry.conversationId)
    },
    retry(clientMessageId: string) {
      const entry = entries.get(clientMessageId)
      if (entry?.state !== 'failed') return
      put({ ...entry, state: 'queued', error: null })
      void run(entry.conversationId)
    },
    /** Also: the message is known to be stored. */
    remove,
    /** The way may be free again: try everything now. */
    kick() {
      tries.clear()
      for (const id of new Set([...entries.values()].map((entry) => entry.conversationId))) void run(id)
    },
    close() {
      closed = true
      for (const timer of timers.values()) clearTimeout(timer)
      channel?.close()
      // A send may still end: what is closed takes no word of it.
      channel = null
    },
  }
}

function read(text: string | null): Entry | null {
  try {
    return revive(JSON.parse(text ?? '') as Entry)
  } catch {
    return null
  }
}

/** After a reload nothing is on its way any more. */
const revive = (entry: Entry): Entry => ({
  ...entry,
  state: entry.state === 'failed' ? 'failed' : 'queued',
  error: entry.error && errorFrom(entry.error),
})
