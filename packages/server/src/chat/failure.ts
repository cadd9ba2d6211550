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

/** Anything thrown as a row of the catalogue: a refusal, a store that does not answer, or a fault of ours. */
export const faultOf = (error: unknown) =>
  knownFailure(error) ?? new Failure('internal', {}, { cause: error })

/** A refusal, or a store that does not answer (promise G12); null for a fault of ours. */
export function knownFailure(error: unknown): Failure | null {
  if (error instanceof Failure) return error
  const { code = '', message = '' } = error as { code?: unknown; message?: unknown }
  const cause = { cause: error }
  // Nothing was asked of the store yet, so nothing can have been applied.
  if (
    /^(53|57P03)|^(ECONNREFUSED|ENOENT)$/.test(String(code)) ||
    /timeout exceeded when trying to connect/.test(String(message))
  ) {
    return new Failure('unavailable', { notApplied: true, retryAfter: 1 }, cause)
  }
  // The store went away while it was working: what it was asked may have been committed (SPEC E4).
  return isOutage(String(code), String(message))
    ? new Failure('outcome_unknown', { retryAfter: 1 }, cause)
    : null
}

/** The store went away: PostgreSQL's class 57 and 08, or a connection that broke. */
const isOutage = (code: string, message: string) =>
  /^(57P|08)|^(ECONNRESET|EPIPE)$/.test(code) ||
  /Connection terminated|is not queryable|Query read timeout/.test(message)
