import { memoryStorage, ParleyError, type ParleyStorage } from '@parley/client'
import { vi } from 'vitest'
import { message } from './messages.ts'

/** A value to watch, like the client's. */
function cell<T>(value: T) {
  const listeners = new Set<() => void>()
  return {
    get: () => value,
    set(next: T) {
      value = next
      for (const listener of [...listeners]) listener()
    },
    subscribe(listener: () => void) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

export type Conversation = ReturnType<typeof conversationStore>

function conversationStore(id: string) {
  const view = cell({
    id,
    phase: 'ready' as string,
    conversation: { id, status: 'open' as string },
    participants: [],
    messages: [] as ReturnType<typeof message>[],
    typing: [],
  })
  return {
    ...view,
    id,
    sent: [] as string[],
    send({ clientMessageId, body }: { clientMessageId: string; body: string }) {
      if (view.get().messages.some((one) => one.key === clientMessageId)) return
      this.sent.push(body)
      view.set({
        ...view.get(),
        messages: [
          ...view.get().messages,
          message({ key: clientMessageId, body, mine: true, status: 'sending' }),
        ],
      })
    },
    refuse(clientMessageId: string, code: 'conversation_closed' | 'invalid_request') {
      const error = new ParleyError(code, 'No.', false, 409)
      const messages = view
        .get()
        .messages.map((one) =>
          one.key === clientMessageId ? { ...one, status: 'failed' as const, error } : one,
        )
      view.set({ ...view.get(), messages })
    },
    discard(clientMessageId: string) {
      view.set({ ...view.get(), messages: view.get().messages.filter((one) => one.key !== clientMessageId) })
    },
    retry: vi.fn(),
    setTyping: vi.fn(),
    markRead: vi.fn(),
  }
}

/**
 * Stands in for `connect` and `visitorSession`: a server that opens one conversation per clientKey, as the real one
 * does, and a connection that a test switches on and off.
 */
export function fakeClient(storage: ParleyStorage = memoryStorage()) {
  const state = cell<unknown>({ state: 'connecting', attempt: 1 })
  const list = cell({ phase: 'idle', rows: [] as unknown[] })
  const session = cell<unknown>(null)
  const opened = new Map<string, string>()
  const conversations = new Map<string, Conversation>()
  const keys: string[] = []
  let failure: ParleyError | null = null

  const conversation = (id: string) => {
    const one = conversations.get(id) ?? conversationStore(id)
    conversations.set(id, one)
    return one
  }
  return {
    storage,
    keys,
    conversation,
    connect: () => ({
      state,
      list,
      conversation,
      me: { get: () => 'ana' },
      onEvent: () => () => {},
      close() {},
      async call(_name: string, { clientKey }: { clientKey: string }) {
        keys.push(clientKey)
        const id = opened.get(clientKey) ?? `c${opened.size + 1}`
        opened.set(clientKey, id)
        if (failure) throw failure
        return { conversation: { id } }
      },
    }),
    visitorSession: () => ({ state: session, forget() {} }),
    /** The answers to creating get lost on the way, although the server has done it. */
    loseAnswers(lost: boolean) {
      failure = lost ? new ParleyError('disconnected', 'Lost.', true) : null
    },
    goLive(rows: { id: string; status: string }[] = []) {
      session.set({ user: { id: 'ana' }, inboxId: 'i1' })
      list.set({
        phase: 'ready',
        rows: rows.map((row) => ({ unread: 0, conversation: { ...row, kind: 'support', inboxId: 'i1' } })),
      })
      state.set({ state: 'live' })
    },
    goOffline: () => state.set({ state: 'waiting', attempt: 2 }),
  }
}
