import type { Parley, ParleyError, Store } from '@parley/client'
import type { Inbox, User } from '@parley/protocol'

/**
 * People and inboxes. They have no events of their own, so they are asked for when first drawn, again with each new
 * connection, and when somebody here has changed them (`reload`).
 */
export type Fetched<T> =
  | { readonly phase: 'loading' }
  | { readonly phase: 'ready'; readonly value: T }
  | { readonly phase: 'failed'; readonly error: ParleyError }

export interface FetchedStore<T> extends Store<Fetched<T>> {
  reload(): Promise<void>
}

export type Directory = {
  /** Everybody who is not a contact. */
  readonly team: FetchedStore<readonly User[]>
  /** Inboxes I work in; all of them for admins. */
  readonly inboxes: FetchedStore<readonly Inbox[]>
  /** One object per id. */
  person(userId: string): FetchedStore<User>
}

export function directory(parley: Parley): Directory {
  const people = new Map<string, FetchedStore<User>>()
  return {
    team: fetched(parley, async () => (await parley.call('user.list')).users),
    inboxes: fetched(parley, async () => (await parley.call('inbox.list')).inboxes),
    person(userId) {
      const known = people.get(userId)
      if (known) return known
      const person = fetched(parley, () => parley.call('user.get', { userId }))
      people.set(userId, person)
      return person
    },
  }
}

function fetched<T>(parley: Parley, ask: () => Promise<T>): FetchedStore<T> {
  let state: Fetched<T> = { phase: 'loading' }
  let connection: string | null = null
  let stopListening = () => {}
  const listeners = new Set<() => void>()
  const set = (next: Fetched<T>) => {
    state = next
    for (const listener of [...listeners]) listener()
  }

  async function reload() {
    try {
      set({ phase: 'ready', value: await ask() })
    } catch (error) {
      // What was known stays in sight; a failure is shown only where there is nothing else to show.
      if (state.phase !== 'ready') set({ phase: 'failed', error: error as ParleyError })
    }
  }

  function freshen() {
    const now = parley.state.get()
    if (now.state !== 'live' || now.connectionId === connection) return
    connection = now.connectionId
    void reload()
  }

  return {
    get: () => state,
    reload,
    subscribe(listener) {
      const own = () => listener()
      listeners.add(own)
      if (listeners.size === 1) {
        stopListening = parley.state.subscribe(freshen)
        freshen()
      }
      return () => {
        if (listeners.delete(own) && listeners.size === 0) stopListening()
      }
    },
  }
}

/** What is known of a list that may still be on its way. */
export function known<T>(list: Fetched<readonly T[]>): readonly T[] {
  return list.phase === 'ready' ? list.value : []
}
