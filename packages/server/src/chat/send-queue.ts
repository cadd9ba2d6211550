import type { Pool } from 'pg'
import { Failure, knownFailure } from './failure.ts'
import { type Draft, isRefused, type Outcome, type WrittenDraft, writeBatch } from './message-batch.ts'

type Entry = {
  draft: Draft
  /** When its sender has waited long enough. */
  dueAt: number
  settled: Promise<Outcome>
  resolve(outcome: Outcome): void
  reject(error: unknown): void
}

const largestBatch = 256
const longestQueue = 20_000
const answerWithinMs = 5_000
/** Of which a batch has at least this for itself, so that a long queue does not make every batch fail. */
const writeWithinMs = 2_500
/**
 * A batch is answered in parts of so many, each written to its sockets before the next is begun: what a message touches is
 * still in the processor's cache then, and its readers read while others are told. (Zen 5, 1,000 conversations: a message
 * took 50 us of a core when a batch of 250 was answered at once; 40 in parts of 8 to 24.)
 */
const someEntries = 16
/** How long sends wait at most for company, while another batch is being written. */
const patienceMs = 10

/**
 * Group commit. Sends that arrive while a batch is being written wait together and are written by the next one: one
 * round trip, one commit, however many there are. A lone send waits for nobody.
 *
 * A batch begins when everything that this turn of the loop brings has been read. Beside another one it begins only if it
 * is at least half as large as batches were of late: the answers to a batch bring its senders' next messages one by one,
 * and without this rule the first of them was a batch of its own, two in five (of 11 on average, with 50 in flight).
 *
 * Copies of one send that meet here share one outcome; the same key with other content waits until the first is
 * decided. What is queued is bounded: beyond that a send is refused as not applied (promise G9).
 */
export class SendQueue {
  readonly #pool: Pool
  readonly #writers: number
  readonly #onWritten: (written: WrittenDraft[]) => Promise<void>
  readonly #onUncertain: (conversationIds: string[]) => void
  #waiting = new Map<string, Entry>()
  /** Conversations of the batches under way: their next sends wait, so that one sender's order is kept. */
  readonly #busy = new Set<ReadonlySet<string>>()
  #writing = 0
  #usualSize = 1
  #isDue = false
  #patience: NodeJS.Timeout | undefined
  #idle: (() => void)[] = []

  /**
   * `onWritten` hears every batch after its commit and before its senders do, `onUncertain` where one was to be written of
   * which nobody knows whether it was. They must not throw.
   */
  constructor(
    pool: Pool,
    writers: number,
    onWritten: (written: WrittenDraft[]) => Promise<void>,
    onUncertain: (conversationIds: string[]) => void,
  ) {
    this.#pool = pool
    this.#writers = writers
    this.#onWritten = onWritten
    this.#onUncertain = onUncertain
  }

  /** Resolves after the commit. Rejects with `overloaded` or `unavailable` (not applied) or `outcome_unknown`. */
  append(draft: Draft): Promise<Outcome> {
    const twin = this.#waiting.get(draft.sendKey)
    if (twin) return this.#shareWith(twin, draft)
    if (this.#waiting.size >= longestQueue) {
      return Promise.reject(new Failure('overloaded', { notApplied: true, retryAfter: 1 }))
    }
    const { promise: settled, resolve, reject } = Promise.withResolvers<Outcome>()
    const dueAt = performance.now() + answerWithinMs
    this.#waiting.set(draft.sendKey, { draft, dueAt, settled, resolve, reject })
    this.#writeSoon()
    return settled
  }

  async #shareWith(twin: Entry, draft: Draft): Promise<Outcome> {
    const outcome = await twin.settled
    if (twin.draft.contentHash !== draft.contentHash) return this.append(draft)
    return outcome.verdict === 'written' ? { verdict: 'repeat', id: outcome.message.id } : outcome
  }

  /** Resolves when everything that was queued has been answered. */
  async drain(): Promise<void> {
    if (this.#writing === 0 && this.#waiting.size === 0) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  #writeSoon(): void {
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      this.#write()
      if (this.#writing === 0 && this.#waiting.size === 0) for (const idle of this.#idle.splice(0)) idle()
    })
  }

  #write(): void {
    while (this.#writing < this.#writers && this.#waiting.size > 0) {
      if (this.#writing > 0 && this.#waiting.size * 2 < this.#usualSize) return this.#writeInTime()
      if (!this.#begin()) return
    }
  }

  /** The batch under way usually ends before that; if not, it waits for something that those who wait now do not. */
  #writeInTime(): void {
    this.#patience ??= setTimeout(() => this.#begin(), patienceMs)
  }

  /** False if all who wait have to go on waiting. */
  #begin(): boolean {
    clearTimeout(this.#patience)
    this.#patience = undefined
    const batch = this.#nextBatch()
    if (batch.length === 0) return false
    this.#usualSize = (this.#usualSize * 3 + batch.length) / 4
    const conversations = new Set(batch.map((entry) => entry.draft.conversationId))
    this.#busy.add(conversations)
    this.#writing++
    this.#commit(batch).finally(() => {
      this.#writing--
      this.#busy.delete(conversations)
      this.#writeSoon()
    })
    return true
  }

  /** One batch claims attachments for at most one message, so that two cannot claim the same file. */
  #nextBatch(): Entry[] {
    const batch: Entry[] = []
    const passedOver = new Set<string>()
    let claims = false
    const now = performance.now()
    for (const [key, entry] of this.#waiting) {
      // It waited so long, behind a batch that did not come back or too many others, that writing it could be late.
      if (entry.dueAt - now < writeWithinMs) {
        this.#waiting.delete(key)
        entry.reject(new Failure('overloaded', { notApplied: true, retryAfter: 1 }))
        continue
      }
      const { conversationId, attachmentIds } = entry.draft
      if (this.#isBusy(conversationId) || passedOver.has(conversationId)) continue
      if (attachmentIds.length > 0) {
        if (claims) {
          // What its sender wrote after it must not come before it.
          passedOver.add(conversationId)
          continue
        }
        claims = true
      }
      batch.push(entry)
      if (batch.length === largestBatch) break
    }
    this.#forget(batch)
    return batch
  }

  #isBusy(conversationId: string): boolean {
    for (const conversations of this.#busy) if (conversations.has(conversationId)) return true
    return false
  }

  /** A new map instead of one emptied entry by entry: each time that shrinks, it leaves a table that keeps them alive. */
  #forget(batch: readonly Entry[]): void {
    if (batch.length === this.#waiting.size) this.#waiting = new Map()
    else for (const { draft } of batch) this.#waiting.delete(draft.sendKey)
  }

  async #commit(batch: Entry[]): Promise<void> {
    try {
      const outcomes = await writeBatch(
        this.#pool,
        batch.map((entry) => entry.draft),
        Math.min(...batch.map((entry) => entry.dueAt)),
      )
      for (let from = 0; from < batch.length; from += someEntries) {
        if (from > 0) await flushed()
        await this.#settle(batch.slice(from, from + someEntries), outcomes.slice(from, from + someEntries))
      }
    } catch (error) {
      if (batch.length > 1 && isRefused(error)) {
        // One bad row must not take its neighbours with it; nothing of the batch was applied.
        for (const entry of batch) await this.#commit([entry])
        return
      }
      const failure = failureOf(error)
      if (failure.code === 'outcome_unknown')
        this.#onUncertain(batch.map(({ draft }) => draft.conversationId))
      for (const entry of batch) entry.reject(failure)
    }
  }

  /** Tells what some of a batch has become: first everybody who listens, then who sent it. */
  async #settle(entries: readonly Entry[], outcomes: readonly Outcome[]): Promise<void> {
    await this.#onWritten(
      entries.flatMap(({ draft }, item) => {
        const outcome = outcomes[item]
        return outcome?.verdict === 'written' ? [{ draft, outcome }] : []
      }),
    )
    entries.forEach((entry, item) => {
      const outcome = outcomes[item]
      if (outcome) entry.resolve(outcome)
      else entry.reject(new Failure('internal'))
    })
  }
}

/** What this turn has written to sockets leaves at the next tick: resolves after that. */
const flushed = () => new Promise<void>((resolve) => process.nextTick(resolve))

/** Before the statement reached the store nothing can have been applied; afterwards only the store knows. */
function failureOf(error: unknown): Failure {
  if (isRefused(error))
    return new Failure('unavailable', { notApplied: true, retryAfter: 1 }, { cause: error })
  return knownFailure(error) ?? new Failure('outcome_unknown', {}, { cause: error })
}
