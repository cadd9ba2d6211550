import type { ErrorCode } from '@parley/protocol'
import { type Failure, knownFailure } from '../../chat/failure.ts'
import { idOf } from './ids.ts'

/** An answer that says no, in this dialect's words. */
export class Refusal extends Error {
  readonly status: number
  readonly body: Record<string, unknown>
  /** Seconds, where asking again later helps. */
  readonly retryAfter: number | null

  constructor(status: number, body: string | Record<string, unknown>, retryAfter: number | null = null) {
    super(typeof body === 'string' ? body : String(body.error))
    this.status = status
    this.body = typeof body === 'string' ? { error: body } : body
    this.retryAfter = retryAfter
  }
}

export const staffOnly = (current: string | null) =>
  new Refusal(403, { error: 'Insufficient permissions', required: ['ADMIN', 'AGENT'], current })
export const adminOnly = (current: string | null) =>
  new Refusal(403, { error: 'Insufficient permissions', required: ['ADMIN'], current })
export const notTwo = () => new Refusal(400, 'Direct conversations must have exactly 2 participants')
export const noSuchPeople = () => new Refusal(400, 'One or more participants not found')
export const tooMany = (window: string, seconds: number) =>
  new Refusal(
    429,
    { error: 'Too many requests from this IP, please try again later.', retryAfter: window },
    seconds,
  )
export const noConversation = 'Conversation not found'

const badJson: [number, string] = [400, 'Invalid JSON in request body']
const badToken: [number, string] = [403, 'Invalid or expired access token']
const busy: [number, string] = [503, 'Service temporarily unavailable']
const denied: [number, string] = [403, 'Insufficient permissions']

/** Every failure of the verbs; those not here are ours, and 500. */
const texts: Partial<Record<ErrorCode, [status: number, error: string]>> = {
  malformed_json: badJson,
  bad_text: badJson,
  too_deep: badJson,
  invalid_cursor: [400, 'Validation error'],
  unauthenticated: badToken,
  token_expired: badToken,
  invalid_credentials: [401, 'Invalid credentials'],
  refresh_reused: [403, 'Refresh token expired or not found'],
  forbidden: denied,
  origin_refused: denied,
  grant_required: denied,
  not_found: [404, noConversation],
  already_exists: [409, 'User with this email or username already exists'],
  conversation_closed: [404, noConversation],
  conversation_archived: [404, noConversation],
  key_reused: [409, 'Message already sent with other content'],
  file_type_refused: [400, 'Invalid file type'],
  too_large: [413, 'Request body too large'],
  unsupported_media_type: [400, 'No file uploaded'],
  outcome_unknown: busy,
  overloaded: busy,
  unavailable: busy,
}

/** What the verbs call a field, and this dialect something else. */
const fields: Record<string, string> = { body: 'content', attachmentIds: 'fileUrl' }

/** Anything that a route may throw, as an answer; null for what nobody expected. `missing`: what was not found there. */
export function refusalOf(error: unknown, missing = noConversation): Refusal | null {
  if (error instanceof Refusal) return error
  const failure = knownFailure(error)
  if (failure) return refusalOfFailure(failure, missing)
  const { statusCode: status } = error as { statusCode?: unknown }
  if (status === 413) return new Refusal(413, 'Request body too large')
  return typeof status === 'number' && status >= 400 && status < 500
    ? new Refusal(status, 'Bad request')
    : null
}

function refusalOfFailure({ code, details }: Failure, missing: string): Refusal | null {
  if (code === 'invalid_request') {
    const field = String(details.field)
    const detail = `"${fields[field] ?? field}" ${details.message}`
    return new Refusal(400, { error: 'Validation error', details: [detail] })
  }
  if (code === 'conversation_exists') {
    return new Refusal(409, {
      error: 'Direct conversation already exists',
      conversationId: idOf(String(details.conversationId)),
    })
  }
  if (code === 'not_found') return new Refusal(404, missing)
  if (code === 'rate_limited') return tooMany('1 minute', Number(details.retryAfter ?? 1))
  const [status, text] = texts[code] ?? []
  return status && text ? new Refusal(status, text) : null
}
