import { type ErrorCode, errors } from '@parley/protocol'

/** A refusal with a row in the error catalogue. Doors render it in their own form; anything else thrown is a fault. */
export class Failure extends Error {
  readonly code: ErrorCode
  /** Said beside the code: `field`, `conversationId`, `retryAfter` (seconds) and the like. Never internals. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, details: Record<string, unknown> = {}, options?: ErrorOptions) {
    super(errors[code].message, options)
    this.code = code
    this.details = details
  }

  get status(): number {
    return errors[this.code].status
  }

  get retry(): boolean {
    return errors[this.code].retry
  }
}

export const notFound = () => new Failure('not_found')
export const invalid = (field: string, message: string) => new Failure('invalid_request', { field, message })
