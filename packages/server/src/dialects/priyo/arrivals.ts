import { setTimeout as wait } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Chat } from '../../chat/chat.ts'
import { Failure } from '../../chat/failure.ts'
import { type Arrival, markDelivered } from '../../chat/receipts.ts'

const shortestPauseMs = 20
const mostAtOnce = 2_000

/**
 * What reached sockets here, to be marked as delivered. Gathered, and written at most a quarter of the time: a busy
 * room would otherwise cost the store more for telling that messages arrived than for keeping them.
 */
export class Arrivals {
  readonly #chat: Chat
  readonly #workspaceId: string
  readonly #log: Logger
  #waiting = new Map<string, Arrival>()
  #writing = false

  constructor(chat: Chat, workspaceId: string, log: Logger) {
    this.#chat = chat
    this.#workspaceId = workspaceId
    this.#log = log
  }

  note(arrival: Arrival): void {
    const key = `${arrival.conversationId} ${arrival.userId}`
    const earlier = this.#waiting.get(key)
    if (earlier && earlier.seq >= arrival.seq) return
    this.#waiting.set(key, arrival)
    if (this.#writing) return
    this.#writing = true
    this.#write()
  }

  async #write(): Promise<void> {
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting].slice(0, mostAtOnce)
      for (const [key] of batch) this.#waiting.delete(key)
      const began = performance.now()
      try {
        const arrivals = batch.map(([, arrival]) => arrival)
        await markDelivered(this.#chat, this.#workspaceId, arrivals)
      } catch (error) {
        // A mark that was not written is passed by the next one, or by reading; a store that stops has none to take.
        if (!(error instanceof Failure)) this.#log.debug({ err: error }, 'could not mark messages delivered')
      }
      await wait(Math.max(shortestPauseMs, 3 * (performance.now() - began)), undefined, { ref: false })
    }
    this.#writing = false
  }
}
