import type { MessageKind, Visibility } from '@parley/protocol'
import type { Pool } from 'pg'
import { within } from './deadline.ts'
import { Failure, knownFailure } from './failure.ts'

/** A message that wants to be written. `sendKey` and `contentHash` are half SHA-256 digests in hexadecimal. */
export type Draft = {
  workspaceId: string
  conversationId: string
  id: string
  senderId: string
  kind: MessageKind
  body: string
  visibility: Visibility
  replyToId: string | null
  metadata: string | null
  clientMessageId: string
  sendKey: string
  contentHash: string
  attachmentIds: readonly string[]
}

type Written = {
  verdict: 'written' | 'repeat'
  id: string
  seq: number
  senderRole: 'contact' | 'agent' | 'bot'
  at: string
  inboxId: string | null
}
type Refused = {
  verdict:
    | 'conflict'
    | 'missing'
    | 'closed'
    | 'archived'
    | 'outsider'
    | 'no_grant'
    | 'bad_reply'
    | 'bad_attachment'
}
export type Outcome = Written | Refused
export type WrittenDraft = { draft: Draft; outcome: Written }

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
 * Group commit. Sends that arrive while a batch is being written wait together and are written by the next one: one
 * round trip, one commit, however many there are. A lone send waits for nobody.
 *
 * Copies of one send that meet here share one outcome; the same key with other content waits until the first is
 * decided. What is queued is bounded: beyond that a send is refused as not applied (promise G9).
 */
export class SendQueue {
  readonly #pool: Pool
  readonly #writers: number
  readonly #onWritten: (written: WrittenDraft[]) => Promise<void>
  readonly #waiting = new Map<string, Entry>()
  /** Conversations of the batches under way: their next sends wait, so that one sender's order is kept. */
  readonly #busy = new Set<string>()
  #writing = 0
  #idle: (() => void)[] = []

  /** `onWritten` hears every batch after its commit and before its senders do; it must not throw. */
  constructor(pool: Pool, writers: number, onWritten: (written: WrittenDraft[]) => Promise<void>) {
    this.#pool = pool
    this.#writers = writers
    this.#onWritten = onWritten
  }

  /** Resolves after the commit. Rejects with `overloaded` or `unavailable` (not applied) or `outcome_unknown`. */
  async append(draft: Draft): Promise<Outcome> {
    const twin = this.#waiting.get(draft.sendKey)
    if (twin) {
      const outcome = await twin.settled
      if (twin.draft.contentHash !== draft.contentHash) return this.append(draft)
      return outcome.verdict === 'written' ? { ...outcome, verdict: 'repeat' } : outcome
    }
    if (this.#waiting.size >= longestQueue)
      throw new Failure('overloaded', { notApplied: true, retryAfter: 1 })
    const entry = { draft, ...Promise.withResolvers<Outcome>() }
    const dueAt = performance.now() + answerWithinMs
    const waiting: Entry = {
      draft,
      dueAt,
      settled: entry.promise,
      resolve: entry.resolve,
      reject: entry.reject,
    }
    this.#waiting.set(draft.sendKey, waiting)
    this.#write()
    return waiting.settled
  }

  /** Resolves when everything that was queued has been answered. */
  async drain(): Promise<void> {
    if (this.#writing === 0 && this.#waiting.size === 0) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  #write(): void {
    while (this.#writing < this.#writers && this.#waiting.size > 0) {
      const batch = this.#nextBatch()
      if (batch.length === 0) return
      const conversations = batch.map((entry) => entry.draft.conversationId)
      for (const id of conversations) this.#busy.add(id)
      this.#writing++
      this.#commit(batch).finally(() => {
        this.#writing--
        for (const id of conversations) this.#busy.delete(id)
        this.#write()
        if (this.#writing === 0 && this.#waiting.size === 0) for (const idle of this.#idle.splice(0)) idle()
      })
    }
  }

  /** One batch claims attachments for at most one message, so that two cannot claim the same file. */
  #nextBatch(): Entry[] {
    const batch: Entry[] = []
    let claims = false
    const now = performance.now()
    for (const [key, entry] of this.#waiting) {
      // It waited so long, behind a batch that did not come back or too many others, that writing it could be late.
      if (entry.dueAt - now < writeWithinMs) {
        this.#waiting.delete(key)
        entry.reject(new Failure('overloaded', { notApplied: true, retryAfter: 1 }))
        continue
      }
      if (this.#busy.has(entry.draft.conversationId)) continue
      if (entry.draft.attachmentIds.length > 0) {
        if (claims) continue
        claims = true
      }
      batch.push(entry)
      this.#waiting.delete(key)
      if (batch.length === largestBatch) break
    }
    return batch
  }

  async #commit(batch: Entry[]): Promise<void> {
    try {
      const outcomes = await appendMessages(
        this.#pool,
        batch.map((entry) => entry.draft),
        Math.min(...batch.map((entry) => entry.dueAt)),
      )
      await this.#onWritten(
        batch.flatMap((entry, item) => {
          const outcome = outcomes[item]
          return outcome?.verdict === 'written' ? [{ draft: entry.draft, outcome }] : []
        }),
      )
      batch.forEach((entry, item) => {
        const outcome = outcomes[item]
        if (outcome) entry.resolve(outcome)
        else entry.reject(new Failure('internal'))
      })
    } catch (error) {
      if (batch.length > 1 && isRefusalOfData(error)) {
        // One bad row must not take its neighbours with it; nothing of the batch was applied.
        for (const entry of batch) await this.#commit([entry])
        return
      }
      for (const entry of batch) entry.reject(failureOf(error))
    }
  }
}

type Row = {
  outcome: Outcome['verdict']
  message_id: string
  message_seq: number
  role: Written['senderRole']
  at: string
  inbox: string | null
}

const text =
  'select outcome, message_id, message_seq, role, at, inbox from append_messages($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)'

async function appendMessages(pool: Pool, drafts: Draft[], dueAt: number): Promise<Outcome[]> {
  const column = <T>(pick: (draft: Draft) => T) => drafts.map(pick)
  // Ids and words of ours need no escaping, for which the driver would look into each.
  const plain = (pick: (draft: Draft) => string | null) => `{${drafts.map((d) => pick(d) ?? 'null').join()}}`
  const query = {
    name: 'append_messages',
    text,
    values: [
      plain((d) => d.workspaceId),
      plain((d) => d.conversationId),
      plain((d) => d.id),
      plain((d) => d.senderId),
      plain((d) => d.kind),
      column((d) => d.body),
      plain((d) => d.visibility),
      plain((d) => d.replyToId),
      column((d) => d.metadata),
      column((d) => d.clientMessageId),
      plain((d) => d.sendKey),
      plain((d) => d.contentHash),
      column((d) => (d.attachmentIds.length > 0 ? JSON.stringify(d.attachmentIds) : null)),
    ],
  }
  const rows = await ask(pool, query, dueAt)
  return rows.map((row) =>
    row.outcome === 'written' || row.outcome === 'repeat'
      ? {
          verdict: row.outcome,
          id: row.message_id,
          seq: row.message_seq,
          senderRole: row.role,
          at: row.at,
          inboxId: row.inbox,
        }
      : { verdict: row.outcome },
  )
}

/** Getting a connection and getting an answer share the time there is. Until there is one, nothing was asked. */
async function ask(
  pool: Pool,
  query: { name: string; text: string; values: unknown[] },
  dueAt: number,
): Promise<Row[]> {
  const left = () => Math.max(1, dueAt - performance.now())
  const connecting = pool.connect()
  const client = await within(left(), connecting).catch((error: unknown) => {
    connecting.then((late) => late.release()).catch(() => {})
    throw error
  })
  try {
    const { rows } = await client.query<Row>({ ...query, query_timeout: left() } as typeof query)
    client.release()
    return rows
  } catch (error) {
    // A refusal leaves the connection as it was; whatever else happened, nobody knows what it still says.
    client.release(isRefusalOfData(error) ? undefined : true)
    throw error
  }
}

/** SQLSTATE classes 22 and 23: the data was refused, the connection is fine. */
const isRefusalOfData = (error: unknown) => /^2[23]/.test(sqlState(error))

/** Before the statement reached the store nothing can have been applied; afterwards only the store knows. */
function failureOf(error: unknown): Failure {
  if (/^(2[23]|40)/.test(sqlState(error))) {
    return new Failure('unavailable', { notApplied: true, retryAfter: 1 }, { cause: error })
  }
  return knownFailure(error) ?? new Failure('outcome_unknown', {}, { cause: error })
}

const sqlState = (error: unknown) =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
