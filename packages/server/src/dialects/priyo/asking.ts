import type { Socket } from 'socket.io'
import { Failure } from '../../chat/failure.ts'
import { refuseUnkeepable } from '../../validation.ts'
import { refusalOf } from './refusals.ts'

const mostInFlight = 256

/** What one socket asks for: answered with `{ ok }` where it wants to know, and with `error` where it must know. */
export class Asking {
  readonly #socket: Socket
  #inFlight = 0

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Takes an event. `complaint` says what the client is told of a failure; nothing when it is none of its business. */
  on(event: string, complaint: (error: unknown) => string | null, work: (payload: unknown) => Promise<void>) {
    this.#socket.on(event, (...args: unknown[]) => {
      const ack = args.findLast((arg) => typeof arg === 'function') as ((answer: unknown) => void) | undefined
      const [payload] = args
      this.#run(typeof payload === 'function' ? undefined : payload, work).then(
        () => ack?.({ ok: true }),
        (error: unknown) => {
          const message = complaint(error)
          if (message !== null) this.#socket.emit('error', { message })
          ack?.({ ok: false, error: message ?? 'Refused' })
        },
      )
    })
  }

  async #run(payload: unknown, work: (payload: unknown) => Promise<void>): Promise<void> {
    if (this.#inFlight >= mostInFlight) throw new Failure('overloaded')
    refuseUnkeepable(payload)
    this.#inFlight += 1
    try {
      await work(payload)
    } finally {
      this.#inFlight -= 1
    }
  }
}

export const silence = () => null
export const accessDenied = () => 'Access denied to conversation'
export const notSent = (error: unknown) =>
  refusalOf(error)?.status === 404 ? 'Access denied to conversation' : 'Failed to send message'

/** An object's fields, or those of none. */
export const fieldsOf = (payload: unknown): Record<string, unknown> =>
  typeof payload === 'object' && payload !== null && !Array.isArray(payload)
    ? (payload as Record<string, unknown>)
    : {}

/** Old clients name a conversation by itself, newer ones in an object. */
export const conversationIn = (payload: unknown): unknown =>
  typeof payload === 'string' ? payload : fieldsOf(payload).conversationId
