import { type ErrorCode, errors, limits } from '@parley/protocol'
import { type Failure, knownFailure } from '../../chat/failure.ts'

/** An answer that says no, as this dialect's clients know it. */
export class Refusal extends Error {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>

  constructor(status: number, body: Record<string, unknown>) {
    super(String(body.message ?? body.error))
    this.status = status
    this.body = body
  }
}

const error = (status: number, text: string) => () => new Refusal(status, { error: text })
const message = (status: number, text: string) => () => new Refusal(status, { message: text })
const deletion = (status: number, text: string) => () =>
  new Refusal(status, { success: false, message: text })
const framework = (status: number, name: string, text: string) =>
  new Refusal(status, { statusCode: status, error: name, message: text })

/** Every text this dialect refuses with, in one place. */
export const refusals = {
  noToken: message(401, 'Missing or invalid Authorization header'),
  badToken: message(401, 'Invalid token'),
  badPayload: message(401, 'Invalid token payload'),

  usernameTaken: error(400, 'Username already taken'),
  emailTaken: error(400, 'Email already registered'),
  required: (field: string) => new Refusal(400, { error: `${field} is required` }),
  notText: (field: string) => new Refusal(400, { error: `${field} must be a string` }),
  tooLong: (field: string) => new Refusal(400, { error: `${field} is too long` }),
  notAnObject: error(400, 'The body must be a JSON object'),
  invalidRole: error(400, 'Invalid role'),
  credentialsRequired: error(400, 'username and password are required'),
  wrongCredentials: error(401, 'Invalid username or password'),
  userNotFound: error(404, 'User not found'),
  detailsBroken: error(500, 'Internal server error'),
  notAnOperator: error(403, 'Only an admin may register a business here'),

  noBusinessId: error(400, 'Missing businessId'),
  noSuchBusiness: (id: string) => new Refusal(400, { error: `Business with id ${id} does not exist` }),
  noConversationType: error(400, 'Missing conversationType'),
  invalidConversationType: error(400, 'Invalid conversationType'),
  directRefused: error(403, 'DIRECT conversations are not allowed here'),
  onlyCustomersCreate: error(403, 'Only CUSTOMER users can create conversations'),
  wrongRole: (role: string) =>
    framework(403, 'Forbidden', `Unexpected error. Current user is not of role ${role}`),

  noConversationId: deletion(400, 'conversationId is required'),
  onlyAgentsDelete: deletion(403, 'Only agents can delete conversations'),
  notPartOfIt: (status: 403 | 404) => deletion(status, 'You are not part of this conversation.')(),

  noSuchConversation: error(404, 'Conversation with given id not found'),
  notAParticipant: error(403, 'User is not a participant in this conversation'),
  noSuchSender: error(404, 'Sender not found'),
  notYourself: (field: string) => new Refusal(403, { error: `${field} must be the user of the token` }),
  emptyMessage: error(400, 'Message must have a body or a fileUrl'),
  invalidContentType: error(400, 'Invalid contentType'),
  invalidFileUrl: error(400, 'Invalid fileUrl'),
  invalidTyping: error(400, 'isTyping must be a boolean'),
  invalidPage: (field: string) => new Refusal(400, { error: `Invalid ${field}` }),
  cannotMark: (side: string) => new Refusal(404, { error: `Failed to mark message as read by ${side}` }),
  otherSide: error(403, 'Only your own side can be marked as read'),
  noSuchMessage: error(404, 'Message not found'),

  noRoute: (method: string, url: string) =>
    new Refusal(404, {
      message: `Route ${method}:${url} not found`,
      error: 'Not Found',
      statusCode: 404,
    }),
  badText: error(400, 'Text must not contain NUL or lone surrogates'),
  tooDeep: error(400, `JSON must not be nested deeper than ${limits.jsonDepth} levels`),
  malformed: (text: string) => framework(400, 'Bad Request', text),
  tooLarge: () => framework(413, 'Payload Too Large', 'Request body is too large'),
  notJson: () => framework(415, 'Unsupported Media Type', 'Send JSON with content-type application/json'),
  tooMany: () => framework(429, 'Too Many Requests', 'Too many requests; wait and try again'),
  broken: () => framework(500, 'Internal Server Error', 'Internal server error'),
} as const

/** What the verbs refuse with that has a text of its own here; the rest is said in the catalogue's words. */
const byCode: Partial<Record<ErrorCode, () => Refusal>> = {
  bad_text: refusals.badText,
  too_deep: refusals.tooDeep,
  unauthenticated: refusals.badToken,
  token_expired: refusals.badToken,
  invalid_credentials: refusals.wrongCredentials,
  not_found: refusals.noSuchConversation,
  too_large: refusals.tooLarge,
  unsupported_media_type: refusals.notJson,
  rate_limited: refusals.tooMany,
  internal: refusals.broken,
}

/** Any error as an answer of this dialect; a fault of ours says nothing of our insides. */
export function refusalOf(fault: unknown): Refusal {
  if (fault instanceof Refusal) return fault
  const failure = knownFailure(fault)
  if (failure) return ofFailure(failure)
  const { code, statusCode } = fault as { code?: string; statusCode?: number }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE' || statusCode === 413) return refusals.tooLarge()
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE' || statusCode === 415) return refusals.notJson()
  if (statusCode === 429) return refusals.tooMany()
  if (statusCode && statusCode >= 400 && statusCode < 500)
    return refusals.malformed('The request cannot be read')
  return refusals.broken()
}

function ofFailure(failure: Failure): Refusal {
  if (failure.code === 'already_exists')
    return failure.details.field === 'username' ? refusals.usernameTaken() : refusals.emailTaken()
  if (failure.code === 'malformed_json') {
    const { cause } = failure
    return refusals.malformed(cause instanceof SyntaxError ? cause.message : 'The body is not UTF-8')
  }
  const { field, message: what } = failure.details
  if (failure.code === 'invalid_request' && typeof what === 'string')
    return new Refusal(400, { error: `${field}: ${what}` })
  const known = byCode[failure.code]
  if (known) return known()
  if (failure.status === 503) return framework(503, 'Service Unavailable', errors[failure.code].message)
  return new Refusal(failure.status, { error: failure.message })
}
