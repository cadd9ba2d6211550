import type { ErrorCode } from '@parley/protocol/errors'

/** Codes of the catalogue, and three that only a client can meet. */
export type ParleyErrorCode =
  | ErrorCode
  /** No answer: the network, or something between. Whether it was applied is unknown. */
  | 'network'
  | 'timeout'
  | 'disconnected'

/** `retry`: the same request may succeed later without a change. `message` is fit to be shown. */
export class ParleyError extends Error {
  override name = 'ParleyError'
  // Declared only: written out as fields they would be set twice.
  declare readonly code: ParleyErrorCode
  declare readonly retry: boolean
  declare readonly status: number
  /** The rest of the answer: `field`, `conversationId`, … */
  declare readonly details: Record<string, unknown>

  constructor(
    code: ParleyErrorCode,
    message: string,
    retry = true,
    status = 0,
    details: Record<string, unknown> = {},
  ) {
    super(message)
    this.code = code
    this.retry = retry
    this.status = status
    this.details = details
  }

  toJSON() {
    return { ...this, message: this.message }
  }
}

/** Fresh ones of the three. */
export const unreachable = () => new ParleyError('network', 'The server could not be reached.')
export const unanswered = () => new ParleyError('timeout', 'The server did not answer in time.')
export const disconnected = () => new ParleyError('disconnected', 'The connection was lost.')

/** From the `error` of an HTTP answer or a reply frame, or whatever stands in its place. */
export function errorFrom(error: unknown, status = 0): ParleyError {
  if (error instanceof ParleyError) return error
  const e = (error ?? {}) as { code?: ErrorCode; message?: string; retry?: boolean }
  if (e.code && typeof e.retry === 'boolean') {
    return new ParleyError(e.code, e.message ?? e.code, e.retry, status, { ...e })
  }
  if (!status) return unreachable()
  // Not ours: a proxy between. Its 5xx, 408 and 429 pass; its 4xx stay.
  const retry = status >= 500 || status === 408 || status === 429
  return new ParleyError(retry ? 'unavailable' : 'invalid_request', `HTTP ${status}`, retry, status)
}
