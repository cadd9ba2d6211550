import type { Actor } from './actor.ts'
import type { Chat } from './chat.ts'
import { within } from './deadline.ts'

/** Less than the two seconds of promise G20, which also have to hold the question itself. */
const freshForMs = 1_500

/** A send has to be answered within five seconds, this question included (promise G12). */
const loadWithinMs = 4_000

type Entry = { actor: Promise<Actor>; userId: string | null; askedAt: number }

/**
 * Who stands behind a token, as the store said a moment ago. Many requests with one token ask once. What is being
 * asked when somebody is forgotten is forgotten too: its answer may be older than the change.
 */
export class RecentActors {
  #entries = new Map<string, Entry>()

  find(key: string, load: () => Promise<Actor>): Promise<Actor> {
    this.#dropStale()
    const known = this.#entries.get(key)
    if (known) return known.actor
    const entry: Entry = { actor: within(loadWithinMs, load()), userId: null, askedAt: performance.now() }
    this.#entries.set(key, entry)
    entry.actor.then(
      (actor) => {
        entry.userId = actor.userId
      },
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key)
      },
    )
    return entry.actor
  }

  forget(userIds: readonly string[]): void {
    const gone = new Set(userIds)
    for (const [key, { userId }] of this.#entries) {
      if (userId === null || gone.has(userId)) this.#entries.delete(key)
    }
  }

  /** Entries stand in the order in which they were asked, so the stale ones are in front. */
  #dropStale(): void {
    const oldest = performance.now() - freshForMs
    for (const [key, { askedAt }] of this.#entries) {
      if (askedAt > oldest) return
      this.#entries.delete(key)
    }
  }
}

const byChat = new WeakMap<Chat, RecentActors>()

export function recentActors(chat: Chat): RecentActors {
  const recent = byChat.get(chat) ?? new RecentActors()
  byChat.set(chat, recent)
  return recent
}
