import { type ErrorCode, limits } from '@parley/protocol'
import { type Failure, knownFailure } from '../../chat/failure.ts'

/** An answer that says no: on REST with a status, on a socket as an `error` frame. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string
  readonly retryAfter: number | null

  constructor(status: number, code: string, message: string, retryAfter: number | null = null) {
    super(message)
    this.status = status
    this.code = code
    this.retryAfter = retryAfter
  }
}

const says = (status: number, code: string, message: string) => () => new Refusal(status, code, message)
const invalid = (message: string) => new Refusal(400, 'VALIDATION_ERROR', message)

/** Every text this dialect refuses with, in one place. */
export const refusals = {
  noHeader: says(401, 'UNAUTHORIZED', 'Missing or invalid Authorization header'),
  badToken: says(401, 'UNAUTHORIZED', 'Invalid or expired token'),
  notFound: says(404, 'NOT_FOUND', 'Conversation not found'),
  onlyAdminsAssign: says(403, 'FORBIDDEN', 'Only admins can assign admins to conversations'),
  onlyAdminsSpeakForSystem: says(403, 'FORBIDDEN', 'Only admins can send system messages'),
  onlyAdminsInvite: says(403, 'FORBIDDEN', 'Only admins can name participants'),
  forbidden: says(403, 'FORBIDDEN', 'You are not allowed to do this'),
  closed: says(409, 'CONVERSATION_CLOSED', 'Conversation is closed'),
  conflict: (message: string) => new Refusal(409, 'CONFLICT', message),
  tooLarge: says(413, 'PAYLOAD_TOO_LARGE', 'Request body is too large'),
  tooMany: (seconds: number) =>
    new Refusal(429, 'RATE_LIMITED', 'Too many requests, please slow down', seconds),
  unavailable: (seconds: number) =>
    new Refusal(503, 'SERVICE_UNAVAILABLE', 'The service is not available right now', seconds),

  malformedJson: () => invalid('Request body is not valid JSON'),
  notAnObject: () => invalid('Request body must be a JSON object'),
  badText: () => invalid('Text must not contain NUL characters or unpaired surrogates'),
  tooDeep: (levels: number) => invalid(`JSON must not be nested deeper than ${levels} levels`),
  unreadable: () => invalid('Request could not be read'),
  notText: (field: string) => invalid(`${field} must be a string`),
  tooLong: (field: string, most: number) => invalid(`${field} must be at most ${most} characters`),
  metadataNotAnObject: () => invalid('metadata must be an object'),
  invalidStatus: () => invalid('status must be ACTIVE, CLOSED or ARCHIVED'),
  invalidParticipants: (most: number) => invalid(`participants must be a list of at most ${most} user ids`),
  invalidAdminId: () => invalid('adminId must be a user id'),
  unknownAdmin: () => invalid('adminId must be the id of a known admin'),
  noContent: () => invalid('Message content is required'),
  contentTooLong: () => invalid('Message content must be at most 5000 characters'),
  invalidMessageType: () => invalid('messageType must be TEXT, SYSTEM or FILE'),
  invalidClientName: (field: string, most: number) =>
    invalid(`${field} must be a string of 1 to ${most} characters`),
  invalid,
} as const

/** What the verbs refuse with that has a text of its own here. */
const byCode: Partial<Record<ErrorCode, () => Refusal>> = {
  unauthenticated: refusals.badToken,
  token_expired: refusals.badToken,
  not_found: refusals.notFound,
  forbidden: refusals.forbidden,
  grant_required: refusals.forbidden,
  conversation_closed: refusals.closed,
  conversation_archived: refusals.closed,
  malformed_json: refusals.malformedJson,
  bad_text: refusals.badText,
  too_deep: () => refusals.tooDeep(limits.jsonDepth),
  too_large: refusals.tooLarge,
}

/** Any error as a refusal; undefined for a fault of ours, of which nothing is said. */
export function refusalOf(fault: unknown): Refusal | undefined {
  if (fault instanceof Refusal) return fault
  const failure = knownFailure(fault)
  if (failure) return ofFailure(failure)
  const { code, statusCode } = fault as { code?: string; statusCode?: number }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE' || statusCode === 413) return refusals.tooLarge()
  if (statusCode && statusCode >= 400 && statusCode < 500) return refusals.unreadable()
  return undefined
}

function ofFailure(failure: Failure): Refusal | undefined {
  const known = byCode[failure.code]
  if (known) return known()
  const seconds = Number(failure.details.retryAfter ?? 1)
  if (failure.status === 429) return refusals.tooMany(seconds)
  if (failure.status === 503) return refusals.unavailable(seconds)
  if (failure.status === 409) return refusals.conflict(failure.message)
  return failure.status === 400 ? refusals.invalid(textOf(failure)) : undefined
}

function textOf({ details, message }: Failure): string {
  return typeof details.field === 'string' && typeof details.message === 'string'
    ? `${details.field}: ${details.message}`
    : message
}

export type ErrorFrame = { type: 'error'; code: string; message: string }

export const errorFrame = (code: string, message: string): ErrorFrame => ({ type: 'error', code, message })

export const frames = {
  missingToken: errorFrame('MISSING_TOKEN', 'Token is required'),
  invalidToken: errorFrame('INVALID_TOKEN', 'Invalid or expired token'),
  noAccess: errorFrame('UNAUTHORIZED', 'You do not have access to this conversation'),
  badFormat: errorFrame('INVALID_MESSAGE', 'Invalid message format'),
  tooMany: errorFrame('RATE_LIMITED', 'Too many messages, please slow down'),
  broken: errorFrame('INTERNAL_ERROR', 'An error occurred processing your message'),
} as const

/** The same refusals as a socket says them. */
export function frameOf(fault: unknown): ErrorFrame {
  const refusal = refusalOf(fault)
  switch (refusal?.code) {
    case 'VALIDATION_ERROR':
      return errorFrame('INVALID_MESSAGE', refusal.message)
    case 'UNAUTHORIZED':
      return frames.invalidToken
    case 'NOT_FOUND':
      return frames.noAccess
    case 'RATE_LIMITED':
      return frames.tooMany
    case 'FORBIDDEN':
    case 'CONFLICT':
    case 'CONVERSATION_CLOSED':
      return errorFrame(refusal.code, refusal.message)
    default:
      return frames.broken
  }
}
