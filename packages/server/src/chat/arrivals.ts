import { setTimeout as wait } from 'node:timers/promises'
import type { ConversationKind, Message } from '@parley/protocol'
import { sql } from 'kysely'
import type { Actor } from './actor.ts'
import type { Chat } from './chat.ts'
import { Failure } from './failure.ts'
import { type MessageRow, viewMessages } from './message-view.ts'
import { type Arrival, markDelivered } from './receipts.ts'

/**
 * What others wrote to somebody and no device of theirs has received yet, oldest first; of very many, the newest. From
 * the delivered marks, so nothing is kept beside the log.
 */
export async function listUndelivered(
  chat: Pick<Chat, 'db'>,
  actor: Actor,
  { kind, limit }: { kind?: ConversationKind; limit: number },
): Promise<Message[]> {
  const { rows } = await sql<MessageRow>`
    select m.* from participant p
    join conversation c on c.workspace_id = p.workspace_id and c.id = p.conversation_id and c.deleted_at is null
      ${kind ? sql`and c.kind = ${kind}` : sql``}
    left join receipt r on r.workspace_id = p.workspace_id and r.conversation_id = p.conversation_id
      and r.person_id = p.person_id
    join lateral (
      select * from message w where w.workspace_id = c.workspace_id and w.conversation_id = c.id
        and w.seq > coalesce(r.delivered_seq, 0) and w.visibility = 'everyone' and w.kind <> 'system'
        and w.retracted_at is null and w.sender_id is distinct from ${actor.userId}
      order by w.seq desc limit ${limit}
    ) m on true
    where p.workspace_id = ${actor.workspaceId} and p.person_id = ${actor.userId} and p.left_at is null
      and c.last_seq > coalesce(r.delivered_seq, 0)
    order by m.created_at desc, m.conversation_id desc, m.seq desc limit ${limit}`.execute(chat.db)
  return viewMessages(chat.db, rows.toReversed())
}

const shortestPauseMs = 20
const mostAtOnce = 2_000

/**
 * What reached sockets here, to be marked as delivered. Gathered, and written at most a quarter of the time: a busy
 * room would otherwise cost the store more for telling that messages arrived than for keeping them.
 */
export class Arrivals {
  readonly #chat: Chat
  readonly #workspaceId: string
  readonly #onError: (error: unknown) => void
  #waiting = new Map<string, Arrival>()
  #beingWritten: ReadonlyMap<string, Arrival> = new Map()
  #isWriting = false

  constructor(chat: Chat, workspaceId: string, onError: (error: unknown) => void) {
    this.#chat = chat
    this.#workspaceId = workspaceId
    this.#onError = onError
  }

  note(arrival: Arrival): void {
    const key = keyOf(arrival)
    const earlier = this.#waiting.get(key)
    if (earlier && earlier.seq >= arrival.seq) return
    this.#waiting.set(key, arrival)
    if (this.#isWriting) return
    this.#isWriting = true
    this.#write().finally(() => {
      this.#isWriting = false
    })
  }

  /** Which arrivals were noted and may not be written yet. Asked for before the store is asked, so that none is between. */
  unwritten(): (arrival: Arrival) => boolean {
    const noted = [this.#beingWritten, this.#waiting]
    return (arrival) => noted.some((some) => (some.get(keyOf(arrival))?.seq ?? 0) >= arrival.seq)
  }

  async #write(): Promise<void> {
    while (this.#waiting.size > 0) {
      this.#beingWritten = this.#waiting
      this.#waiting = new Map()
      const arrivals = [...this.#beingWritten.values()]
      for (let i = 0; i < arrivals.length; i += mostAtOnce)
        await this.#writeBatch(arrivals.slice(i, i + mostAtOnce))
    }
    this.#beingWritten = new Map()
  }

  async #writeBatch(batch: Arrival[]): Promise<void> {
    const began = performance.now()
    try {
      await markDelivered(this.#chat, this.#workspaceId, batch)
    } catch (error) {
      // A mark that was not written is passed by the next one, or by reading.
      if (!(error instanceof Failure)) this.#onError(error)
    }
    await wait(Math.max(shortestPauseMs, 3 * (performance.now() - began)), undefined, { ref: false })
  }
}

const keyOf = ({ conversationId, userId }: Arrival) => `${conversationId} ${userId}`
