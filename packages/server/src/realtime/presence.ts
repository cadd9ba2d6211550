import type { Presence as PresenceView } from '@parley/protocol'
import { type Actor, wayInOf } from '../chat/actor.ts'
import { Frame } from './frame.ts'
import { Index } from './index-of.ts'
import type { Listener } from './listener.ts'

/** A page that reloads is away for a moment; nobody needs to hear of it. */
const offlineAfterMs = 3_000
const rememberedPeople = 50_000

type State = 'online' | 'away'
/** `state` is what was told last. It stays for a moment when the last connection has gone. */
type Person = {
  connections: Map<Listener, State>
  state: State | 'offline'
  leaving: NodeJS.Timeout | undefined
}

/**
 * Who is here, by open connections on this node: as present as the most present of them (rule W5). Weather: never stored,
 * told only to those who asked about these very people (a broadcast to everybody is how presence takes servers down).
 */
export class Presence {
  readonly #people = new Map<string, Person>()
  readonly #lastSeenAt = new Map<string, string>()
  readonly #watchers = new Index<Listener>()
  readonly #watching = new Map<Listener, Set<string>>()

  arrive(listener: Listener): void {
    const { userId } = listener.actor
    const person: Person = this.#people.get(userId) ?? {
      connections: new Map(),
      state: 'offline',
      leaving: undefined,
    }
    clearTimeout(person.leaving)
    person.leaving = undefined
    person.connections.set(listener, 'online')
    this.#people.set(userId, person)
    this.#settle(userId, person)
  }

  leave(listener: Listener): void {
    this.watch(listener, [])
    const { userId } = listener.actor
    const person = this.#people.get(userId)
    if (!person?.connections.delete(listener)) return
    if (person.connections.size > 0) return this.#settle(userId, person)
    this.#sawNow(userId)
    person.leaving = setTimeout(() => {
      this.#people.delete(userId)
      this.#tell(userId)
    }, offlineAfterMs)
    person.leaving.unref()
  }

  /** One connection says how present its person is there. */
  set(listener: Listener, state: State): void {
    this.#set(listener.actor, state, (one) => one === listener)
  }

  /** The same over REST, without a connection: all those count that this session, or key, has now. */
  setAll(actor: Actor, state: State): void {
    this.#set(actor, state, (one) => wayInOf(one.actor) === wayInOf(actor))
  }

  of(userId: string): PresenceView {
    const state = this.#people.get(userId)?.state ?? 'offline'
    return { userId, state, lastSeenAt: this.#lastSeenAt.get(userId) ?? null }
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

  #set({ userId }: Actor, state: State, counts: (connection: Listener) => boolean): void {
    const person = this.#people.get(userId)
    if (!person) return
    for (const connection of person.connections.keys())
      if (counts(connection)) person.connections.set(connection, state)
    if (person.connections.size > 0) this.#settle(userId, person)
  }

  #settle(userId: string, person: Person): void {
    const state = [...person.connections.values()].includes('online') ? 'online' : 'away'
    if (state === person.state) return
    person.state = state
    this.#tell(userId)
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
