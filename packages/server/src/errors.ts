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
