import { errors } from '@parley/protocol'
import { Failure } from './chat/failure.ts'

export type ErrorBody = { code: string; message: string; retry: boolean } & Record<string, unknown>

/** An error as clients see it: a row of the catalogue and its details. A fault of ours says nothing but that. */
export function errorBody(error: unknown): ErrorBody {
  const failure = error instanceof Failure ? error : new Failure('internal')
  return { ...failure.details, code: failure.code, message: detailMessage(failure), retry: failure.retry }
}

const detailMessage = (failure: Failure) =>
  typeof failure.details.message === 'string' ? failure.details.message : errors[failure.code].message

/** What is no refusal as a row of the catalogue: a store that does not answer, or a fault of ours. */
export function faultOf(error: unknown): Failure {
  if (error instanceof Failure) return error
  const { code = '', message = '' } = error as { code?: string; message?: string }
  const cause = { cause: error }
  // Nothing was asked of the store yet, so nothing can have been applied.
  if (
    /^(53|57P03)|^(ECONNREFUSED|ENOENT)$/.test(code) ||
    /timeout exceeded when trying to connect/.test(message)
  ) {
    return new Failure('unavailable', { notApplied: true, retryAfter: 1 }, cause)
  }
  // The store went away while it was working: what it was asked may have been committed (SPEC E4).
  return isOutage(code, message)
    ? new Failure('outcome_unknown', { retryAfter: 1 }, cause)
    : new Failure('internal', {}, cause)
}

/** The store went away: PostgreSQL's class 57 and 08, or a connection that broke. */
const isOutage = (code: string, message: string) =>
  /^(57P|08)|^(ECONNRESET|EPIPE)$/.test(code) ||
  /Connection terminated|is not queryable|Query read timeout/.test(message)
