import type { ErrorCode } from '@parley/protocol'
import { knownFailure } from '../../chat/failure.ts'

/** An answer that says no, in this dialect's words; `status` is for REST, sockets hear the text alone. */
export class Refusal extends Error {
  readonly status: number
  readonly retryAfter: number | null

  constructor(status: number, message: string, retryAfter: number | null = null) {
    super(message)
    this.status = status
    this.retryAfter = retryAfter
  }
}

export const texts = {
  noToken: 'Access token required',
  badToken: 'Invalid or expired token',
  noSocketToken: 'Authentication token required',
  cannotAuthenticate: 'Authentication failed',
  tooManyConnections: 'Too many connections',
  notYours: 'Unauthorized access',
  notAMember: 'Unauthorized access to conversation',
  blank: 'Message cannot be empty',
  notText: 'Invalid message format',
  tooLong: 'Message is too long (maximum 5000 characters)',
  noBooking: 'Cannot send message. You must have a confirmed booking with this user.',
  notSent: 'Failed to send message. Please try again.',
  noConversationId: 'Conversation ID required',
  noMessage: 'Message not found',
  notYourEdit: 'You can only edit your own messages',
  notYourDeletion: 'You can only delete your own messages',
  noFile: 'File not found',
  tooManyReactions: 'Too many reactions to this message',
  tooManyMessages: 'Too many messages. Please slow down.',
  tooManyRequests: 'Too many requests, please try again later.',
  busy: 'Service temporarily unavailable',
} as const

export const missing = (...fields: string[]) =>
  new Refusal(400, `Missing required fields: ${fields.join(', ')}`)
export const notAMember = () => new Refusal(403, texts.notAMember)
export const noMessage = () => new Refusal(404, texts.noMessage)
export const noBooking = () => new Refusal(403, texts.noBooking)

/** Every failure of the verbs that is no fault of ours. */
const failures: Partial<Record<ErrorCode, [status: number, text: string]>> = {
  malformed_json: [400, 'Invalid JSON'],
  bad_text: [400, texts.notText],
  too_deep: [400, texts.notText],
  invalid_request: [400, texts.notText],
  unauthenticated: [403, texts.badToken],
  token_expired: [403, texts.badToken],
  forbidden: [403, texts.notYours],
  grant_required: [403, texts.noBooking],
  not_found: [404, texts.noMessage],
  wrong_state: [404, texts.noMessage],
  key_reused: [409, texts.notSent],
  too_many_reactions: [409, texts.tooManyReactions],
  already_exists: [409, 'That user ID belongs to an account that cannot have bookings'],
  file_type_refused: [415, 'Files of this type are not accepted'],
  unsupported_media_type: [415, 'Unsupported content type'],
  too_large: [413, 'Request is too large'],
  rate_limited: [429, texts.tooManyRequests],
}

/**
 * Whatever was thrown, as an answer. `fault` is what this place says when the fault is ours; `instead` what it says for
 * some failures. The second is false when somebody should look at the log.
 */
export function refusalOf(
  error: unknown,
  fault: string,
  instead: Partial<Record<ErrorCode, Refusal>> = {},
): { refusal: Refusal; isExpected: boolean } {
  if (error instanceof Refusal) return { refusal: error, isExpected: true }
  const failure = knownFailure(error)
  if (failure) {
    const [status, text] = failures[failure.code] ?? []
    const known = instead[failure.code] ?? (status && text && new Refusal(status, text))
    if (known) return { refusal: known, isExpected: true }
    return { refusal: new Refusal(failure.status >= 500 ? failure.status : 400, fault, 1), isExpected: true }
  }
  const { statusCode: status } = error as { statusCode?: unknown }
  if (status === 413) return { refusal: new Refusal(413, 'Request is too large'), isExpected: true }
  if (status === 415) return { refusal: new Refusal(415, 'Unsupported content type'), isExpected: true }
  if (typeof status === 'number' && status >= 400 && status < 500)
    return { refusal: new Refusal(400, 'Bad request'), isExpected: true }
  return { refusal: new Refusal(500, fault), isExpected: false }
}
