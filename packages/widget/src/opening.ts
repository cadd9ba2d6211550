import type { ParleyStorage, ShownMessage } from '@parley/client'

/**
 * Messages that have no conversation yet: the first ones a visitor writes, and those that a closed conversation no
 * longer took. Each stands in the storage from the moment it is written until the client's outbox has it, so a reload,
 * a lost connection or a second tab costs nothing. Handing one over twice is safe: it keeps its clientMessageId.
 */
export type OpeningMessage = {
  readonly clientMessageId: string
  readonly body: string
  readonly createdAt: string
  /** The closed conversation that refused it. */
  readonly refusedBy: string | null
  /** Why it cannot go out, until the visitor tries again. */
  readonly error: string | null
}

export type Opening = ReturnType<typeof opening>

export function opening(storage: ParleyStorage, namespace: string) {
  const prefix = `${namespace}:opening:`

  function all(): OpeningMessage[] {
    return storage
      .keys(prefix)
      .map((key) => read(storage.get(key)))
      .filter((one) => one !== null)
      .sort((a, b) => compare(a.createdAt, b.createdAt) || compare(a.clientMessageId, b.clientMessageId))
  }

  const put = (one: OpeningMessage) => storage.set(prefix + one.clientMessageId, JSON.stringify(one))

  return {
    all,
    /** What is to be sent next; a message that failed waits for the visitor. */
    due: () => all().filter((one) => one.error === null),
    /** Under a name that is here already nothing happens: a double click is one message. */
    add(
      clientMessageId: string,
      body: string,
      refusedBy: string | null = null,
      createdAt = new Date().toISOString(),
    ) {
      if (storage.get(prefix + clientMessageId)) return
      put({ clientMessageId, body, createdAt, refusedBy, error: null })
    },
    fail(error: string) {
      for (const one of all()) put({ ...one, error })
    },
    retry(clientMessageId: string) {
      const one = read(storage.get(prefix + clientMessageId))
      if (one) put({ ...one, error: null })
      return one !== null
    },
    remove: (clientMessageId: string) => storage.remove(prefix + clientMessageId),
    /** Does a change of this key, made by another tab, concern us? */
    owns: (key: string | null) => key === null || key.startsWith(prefix),
  }
}

/**
 * The clientKey a conversation is opened with. Never random: two tabs, two clicks, two devices of one person, or a
 * repeat after a lost answer all ask for the same one, and the server opens it once.
 */
export const clientKeyOf = (inboxId: string, after: string | null) =>
  after ? `after:${after}` : `first:${inboxId}`

/** As the thread draws it, like a message in the client's outbox. */
export function shownOf(one: OpeningMessage, isLive: boolean): ShownMessage {
  return {
    key: one.clientMessageId,
    clientMessageId: one.clientMessageId,
    id: null,
    seq: null,
    mine: true,
    status: one.error !== null ? 'failed' : isLive ? 'sending' : 'queued',
    error: null,
    conversationId: '',
    senderId: null,
    senderRole: 'contact',
    kind: 'text',
    body: one.body,
    visibility: 'everyone',
    replyToId: null,
    metadata: {},
    attachments: [],
    reactions: [],
    createdAt: one.createdAt,
    editedAt: null,
    retractedAt: null,
  }
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

function read(text: string | null): OpeningMessage | null {
  try {
    return text ? (JSON.parse(text) as OpeningMessage) : null
  } catch {
    return null
  }
}
