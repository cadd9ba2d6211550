import type { ErrorCode } from '@parley/protocol'
import { knownFailure } from '../../chat/failure.ts'
import type { WireRole } from './translate.ts'

/** An answer that says no, in this dialect's words. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, text: string) {
    super(text)
    this.status = status
  }
}

const saying = (status: number, text: string) => () => new Refusal(status, text)

/** Every text that a route refuses with. */
export const refusals = {
  noToken: saying(401, 'No token provided'),
  badToken: saying(401, 'Invalid token'),
  expiredToken: saying(401, 'Token expired'),
  noUser: saying(401, 'User not found'),
  role: (role: WireRole) => new Refusal(403, `Forbidden for role: ${role}`),
  badId: (value: string) => new Refusal(400, `Invalid _id: ${value.slice(0, 200)}`),
  noRoute: saying(404, 'Route not found'),

  signupFields: saying(400, 'Name, email, password, and role are required'),
  badRole: saying(400, 'Invalid role'),
  noSupervisorOfAgent: saying(400, 'supervisorId is required for agents'),
  badSupervisor: saying(400, 'Invalid supervisor ID'),
  emailTaken: saying(409, 'Email already exists'),
  faults: (faults: readonly string[]) => new Refusal(400, faults.join(', ')),
  loginFields: saying(400, 'Email and password are required'),
  wrongPassword: saying(401, 'Invalid email or password'),

  noConversation: saying(404, 'Conversation not found'),
  notYours: saying(403, 'Not allowed to access this conversation'),
  noSupervisorId: saying(400, 'supervisorId is required'),
  noSupervisor: saying(404, 'Supervisor not found'),
  notASupervisor: saying(400, 'supervisorId must reference a user with supervisor role'),
  hasActive: saying(409, 'Candidate already has an active conversation'),
  noAgentId: saying(400, 'agentId is required'),
  cannotAssign: saying(403, 'cannot assign agent'),
  noAgent: saying(404, 'Agent not found'),
  notAnAgent: saying(400, 'agentId must reference a user with agent role'),
  notYourAgent: saying(403, "Agent doesn't belong to you"),
  assignClosed: saying(400, 'Cannot assign agent to closed conversation'),
  notYoursToClose: saying(403, 'Not allowed to close this conversation'),
  cannotClose: (status: string) => new Refusal(400, `Cannot close conversation with status: ${status}`),
} as const

const badRequest = saying(400, 'Invalid request schema')
const forbidden = saying(403, 'Forbidden, insufficient permissions')
const busy = saying(503, 'Service unavailable')

/** What the verbs refuse with, where no route says it more exactly. */
const byCode: Partial<Record<ErrorCode, () => Refusal>> = {
  malformed_json: badRequest,
  bad_text: badRequest,
  too_deep: badRequest,
  invalid_request: badRequest,
  unauthenticated: refusals.badToken,
  token_expired: refusals.expiredToken,
  invalid_credentials: refusals.wrongPassword,
  registration_refused: forbidden,
  forbidden,
  not_found: refusals.noConversation,
  already_exists: refusals.emailTaken,
  conversation_exists: refusals.hasActive,
  too_large: saying(413, 'request entity too large'),
  rate_limited: saying(429, 'Too many requests, please try again later'),
  overloaded: busy,
  outcome_unknown: busy,
  unavailable: busy,
}

/** Whatever a route may throw, as an answer; a fault of ours says nothing but that. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  const failure = knownFailure(error)
  if (failure) return byCode[failure.code]?.() ?? new Refusal(failure.status, failure.message)
  const { statusCode: status } = error as { statusCode?: unknown }
  if (status === 413) return new Refusal(413, 'request entity too large')
  return typeof status === 'number' && status >= 400 && status < 500
    ? badRequest()
    : new Refusal(500, 'Internal server error')
}
