import { setTimeout as wait } from 'node:timers/promises'
import type { LogEvent, Visibility } from '@parley/protocol'
import type { LoggedEntry } from '../chat/chat.ts'
import { knownFailure } from '../chat/failure.ts'
import { Frame } from './frame.ts'
import type { Listener, LogReader } from './listener.ts'

/** One listener's interest in one conversation. `live` ones hear entries as they come; others are reading the log. */
type Follower = { position: number; sees: Visibility; state: 'reading' | 'live' }

/** Who hears the conversation without following it, and what else follows from an entry that was told. */
type Surroundings = {
  tellAudience(tell: (listener: Listener) => void): void
  hasAudience(): boolean
  /** Asked of somebody in the audience. */
  seesNotes(listener: Listener): boolean
  /** The log cannot be read, and not because the store is away. */
  failed(error: unknown): void
  /** An entry came too late to be told in its place, and was told to nobody. */
  missed(): void
  told(event: LogEvent): void
}

const pageSize = 200
const retryMs = 500
const longestRetryMs = 30_000

/**
 * The end of one conversation's log as this node has told it, and who hears it.
 *
 * Entries arrive in announcements, perhaps twice, perhaps with one missing. Only the next number passes; a smaller one
 * was told before, a larger one means that something was not announced, and the log is read from where the tail
 * stands. A follower has a position of its own, since it begins by reading while others are already live: it joins
 * them in the same turn of the loop in which it has read as far as has been told.
 */
export class Tail {
  readonly conversation: { workspaceId: string; id: string }
  inboxId: string | null = null
  readonly #read: LogReader
  readonly #surroundings: Surroundings
  readonly #followers = new Map<Listener, Follower>()
  readonly #marks = new Map<string, string>()
  /** The last number told; unknown until the first announcement. */
  #seq: number | undefined
  /** The first number told. What comes in below it is no repetition. */
  #first = 0
  #target = 0
  #reading: Promise<void> | undefined
  #touchedAt = performance.now()

  constructor(
    conversation: { workspaceId: string; id: string },
    read: LogReader,
    surroundings: Surroundings,
  ) {
    this.conversation = conversation
    this.#read = read
    this.#surroundings = surroundings
  }

  get isKnown(): boolean {
    return this.#seq !== undefined
  }

  has(listener: Listener): boolean {
    return this.#followers.has(listener)
  }

  isIdle(olderThanMs: number): boolean {
    return this.#followers.size === 0 && !this.#reading && performance.now() - this.#touchedAt > olderThanMs
  }

  async follow(listener: Listener, after: number, sees: Visibility): Promise<number | 'ahead' | null> {
    const follower: Follower = { position: after, sees, state: 'reading' }
    this.#followers.set(listener, follower)
    return this.#catchUp(listener, follower)
  }

  /** Ends a follower and says how far it was; undefined if there was none. */
  unfollow(listener: Listener): 'reading' | 'live' | undefined {
    const state = this.#followers.get(listener)?.state
    this.#followers.delete(listener)
    return state
  }

  see(listener: Listener, sees: Visibility): void {
    const follower = this.#followers.get(listener)
    if (follower) follower.sees = sees
  }

  /** Entries in order, straight from the transaction that wrote them. */
  take(entries: readonly LoggedEntry[]): void {
    this.#touchedAt = performance.now()
    const first = entries[0]?.event.seq
    if (first === undefined) return
    if (this.#seq === undefined) {
      this.#seq = first - 1
      this.#first = first
    }
    if (first < this.#first) this.#surroundings.missed()
    for (const entry of entries) {
      const { seq } = entry.event
      if (seq <= this.#seq) continue
      if (seq > this.#seq + 1) return void this.reach(seq)
      this.#tell(entry)
    }
  }

  /**
   * Something was written up to this number; reads whatever was not announced. Resolves when lists have been told; followers
   * have positions of their own, and one that reads slowly keeps nobody waiting.
   */
  async reach(seq: number): Promise<void> {
    this.#touchedAt = performance.now()
    this.#target = Math.max(this.#target, seq)
    if (this.#reading) return this.#reading
    // Nobody here was told anything before: followers read for themselves, feeds are told the row of the list.
    if (this.#seq === undefined) return this.#wakeFollowers()
    if (this.#target <= this.#seq) return
    this.#reading = this.#readMissing().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  tellFollowers(frame: Frame, to: (listener: Listener) => boolean): void {
    for (const listener of this.#followers.keys()) if (to(listener)) listener.hear(frame)
  }

  /** Notes what was told of somebody's marks. False if it was that already. */
  isNewMark(userId: string, delivered: number, read: number): boolean {
    const mark = `${delivered}:${read}`
    if (this.#marks.get(userId) === mark) return false
    this.#marks.set(userId, mark)
    return true
  }

  #tell(entry: LoggedEntry): void {
    const frame = new Frame(entry.event)
    const { seq } = entry.event
    this.#seq = seq
    for (const [listener, follower] of this.#followers) {
      if (follower.state !== 'live' || seq <= follower.position) continue
      if (seq > follower.position + 1) {
        follower.state = 'reading'
        this.#catchUp(listener, follower).catch(() => this.#followers.delete(listener))
        continue
      }
      follower.position = seq
      if (entry.visibility === 'everyone' || follower.sees === 'agents') listener.hear(frame)
    }
    this.#surroundings.tellAudience((listener) => {
      if (this.#followers.has(listener)) return
      if (entry.visibility === 'everyone' || this.#surroundings.seesNotes(listener)) listener.hear(frame)
    })
    this.#surroundings.told(entry.event)
  }

  async #readMissing(): Promise<void> {
    while (this.#seq !== undefined && this.#target > this.#seq) {
      const isWanted = () => this.#followers.size > 0 || this.#surroundings.hasAudience()
      const page = await this.#readPatiently(this.#seq, isWanted)
      if (!page) return
      const { entries, lastSeq } = page
      for (const entry of entries) if (entry.event.seq === this.#seq + 1) this.#tell(entry)
      // A target beyond the log is a hint about a transaction that never came to be, or a restored store.
      this.#target = Math.min(this.#target, Math.max(lastSeq, this.#seq))
    }
  }

  /**
   * Nobody loses their place because the log cannot be read: it is asked again for as long as somebody waits. A store that
   * is away will be back soon; what is a fault may be one until somebody mends it.
   */
  async #readPatiently(
    after: number,
    isWanted: () => boolean,
  ): Promise<Awaited<ReturnType<LogReader>> | null> {
    for (let waitMs = retryMs; ; ) {
      try {
        return await this.#read(this.conversation, after, pageSize)
      } catch (error) {
        if (!knownFailure(error)) {
          this.#surroundings.failed(error)
          waitMs = Math.min(waitMs * 2, longestRetryMs)
        }
        await wait(waitMs, undefined, { ref: false })
        if (!isWanted()) return null
      }
    }
  }

  #wakeFollowers(): void {
    for (const [listener, follower] of this.#followers) {
      if (follower.state !== 'live' || follower.position >= this.#target) continue
      follower.state = 'reading'
      this.#catchUp(listener, follower).catch(() => this.#followers.delete(listener))
    }
  }

  async #catchUp(listener: Listener, follower: Follower): Promise<number | 'ahead' | null> {
    for (;;) {
      const target = this.#target
      const isWanted = () => this.#followers.get(listener) === follower
      const page = await this.#readPatiently(follower.position, isWanted)
      if (!page || !isWanted()) return null
      if (follower.position > page.lastSeq) {
        this.#followers.delete(listener)
        return 'ahead'
      }
      for (const { event, visibility } of page.entries) {
        if (visibility === 'everyone' || follower.sees === 'agents') listener.hear(new Frame(event))
        follower.position = event.seq
        // A page of long messages is more than may wait for one connection.
        if (!listener.isCongested) continue
        await listener.drained()
        if (this.#followers.get(listener) !== follower) return null
      }
      follower.position = page.upTo
      // The log was read to its end: a target beyond it, set before that, was a hint about nothing.
      if (page.upTo >= page.lastSeq && this.#target === target) this.#target = Math.min(target, page.lastSeq)
      if (page.upTo >= page.lastSeq && page.upTo >= Math.max(this.#seq ?? 0, this.#target)) {
        follower.state = 'live'
        return follower.position
      }
      await listener.drained()
    }
  }
}
