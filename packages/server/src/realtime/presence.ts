import type { Presence as PresenceView } from '@parley/protocol'
import { Frame } from './frame.ts'
import { Index } from './index-of.ts'
import type { Listener } from './listener.ts'

/** A page that reloads is away for a moment; nobody needs to hear of it. */
const offlineAfterMs = 3_000
const rememberedPeople = 50_000

type State = 'online' | 'away'
type Person = { listeners: Map<Listener, State>; leaving: NodeJS.Timeout | undefined }

/**
 * Who is here, by open connections on this node. Weather: never stored, told only to those who asked about these very
 * people (a broadcast to everybody is how presence takes servers down).
 */
export class Presence {
  readonly #people = new Map<string, Person>()
  readonly #lastSeenAt = new Map<string, string>()
  readonly #watchers = new Index<Listener>()
  readonly #watching = new Map<Listener, Set<string>>()

  arrive(listener: Listener): void {
    const { userId } = listener.actor
    const person = this.#people.get(userId) ?? { listeners: new Map(), leaving: undefined }
    const before = this.of(userId).state
    clearTimeout(person.leaving)
    person.leaving = undefined
    person.listeners.set(listener, 'online')
    this.#people.set(userId, person)
    if (before !== 'online') this.#tell(userId)
  }

  leave(listener: Listener): void {
    this.watch(listener, [])
    const { userId } = listener.actor
    const person = this.#people.get(userId)
    if (!person?.listeners.delete(listener)) return
    if (person.listeners.size > 0) return this.#tell(userId)
    this.#sawNow(userId)
    person.leaving = setTimeout(() => {
      this.#people.delete(userId)
      this.#tell(userId)
    }, offlineAfterMs)
    person.leaving.unref()
  }

  /** Away counts when every connection of the person says so. */
  set(userId: string, state: State): void {
    const person = this.#people.get(userId)
    if (!person) return
    const before = this.of(userId).state
    for (const listener of person.listeners.keys()) person.listeners.set(listener, state)
    if (this.of(userId).state !== before) this.#tell(userId)
  }

  of(userId: string): PresenceView {
    const person = this.#people.get(userId)
    const lastSeenAt = this.#lastSeenAt.get(userId) ?? null
    if (!person) return { userId, state: 'offline', lastSeenAt }
    const states = [...person.listeners.values()]
    const away = states.length > 0 && states.every((state) => state === 'away')
    return { userId, state: away ? 'away' : 'online', lastSeenAt }
  }

  /** Hear changes of these people, instead of those named before. The caller has checked that the listener may. */
  watch(listener: Listener, userIds: readonly string[]): void {
    for (const userId of this.#watching.get(listener) ?? []) this.#watchers.remove(userId, listener)
    this.#watching.delete(listener)
    if (userIds.length === 0) return
    this.#watching.set(listener, new Set(userIds))
    for (const userId of userIds) this.#watchers.add(userId, listener)
  }

  /** Whose changes a listener hears. */
  watchedBy(listener: Listener): string[] {
    return [...(this.#watching.get(listener) ?? [])]
  }

  close(): void {
    for (const person of this.#people.values()) clearTimeout(person.leaving)
  }

  #tell(userId: string): void {
    const frame = new Frame({ type: 'presence.changed', presence: this.of(userId) })
    for (const listener of this.#watchers.get(userId)) listener.hear(frame)
  }

  /** Bounded: the longest unseen are forgotten first. */
  #sawNow(userId: string): void {
    this.#lastSeenAt.delete(userId)
    this.#lastSeenAt.set(userId, new Date().toISOString())
    if (this.#lastSeenAt.size <= rememberedPeople) return
    const oldest = this.#lastSeenAt.keys().next().value
    if (oldest) this.#lastSeenAt.delete(oldest)
  }
}
