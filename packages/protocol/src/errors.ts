/**
 * The error catalogue (SPEC §6). One row per way to fail; every door renders a row in its own form.
 * `retry` says whether the same request may succeed later without a change.
 */
export const errors = {
  malformed_json: { status: 400, retry: false, message: 'The body is not valid JSON.' },
  bad_text: {
    status: 400,
    retry: false,
    message: 'Text must not contain NUL characters or unpaired surrogates.',
  },
  too_deep: { status: 400, retry: false, message: 'The JSON is nested deeper than 32 levels.' },
  invalid_request: {
    status: 400,
    retry: false,
    message: 'A field is missing, unknown or of the wrong form; see `field`.',
  },
  invalid_cursor: {
    status: 400,
    retry: false,
    message: 'The cursor was not issued by this server; start again without one.',
  },
  unknown_operation: { status: 400, retry: false, message: 'There is no such command.' },
  unauthenticated: { status: 401, retry: false, message: 'A valid token is required; sign in again.' },
  token_expired: { status: 401, retry: false, message: 'The access token has expired; refresh it.' },
  invalid_credentials: { status: 401, retry: false, message: 'E-mail or password is wrong.' },
  refresh_reused: {
    status: 401,
    retry: false,
    message: 'This refresh token was used before; the session has been ended. Sign in again.',
  },
  forbidden: { status: 403, retry: false, message: 'Your role does not allow this.' },
  registration_refused: {
    status: 403,
    retry: false,
    message: 'This workspace does not let you register with that role without a grant.',
  },
  origin_refused: {
    status: 403,
    retry: false,
    message: 'This inbox does not accept requests from this origin.',
  },
  grant_required: {
    status: 403,
    retry: false,
    message: 'These two people have no current grant to write to each other.',
  },
  not_found: { status: 404, retry: false, message: 'There is nothing here that you may see.' },
  method_not_allowed: { status: 405, retry: false, message: 'This path does not know that method.' },
  request_timeout: {
    status: 408,
    retry: true,
    message: 'The request did not arrive in time; send it again on a new connection.',
  },
  already_exists: { status: 409, retry: false, message: 'Something with that name exists already.' },
  key_reused: {
    status: 409,
    retry: false,
    message: 'This clientMessageId was used before with other content; use a new one.',
  },
  conversation_exists: {
    status: 409,
    retry: false,
    message: 'An active conversation of this kind exists already; see `conversationId`.',
  },
  conversation_closed: { status: 409, retry: false, message: 'The conversation is closed.' },
  conversation_archived: { status: 409, retry: false, message: 'The conversation is archived.' },
  already_taken: { status: 409, retry: false, message: 'Somebody else has taken this conversation.' },
  wrong_state: {
    status: 409,
    retry: false,
    message: 'The conversation is not in a state that allows this.',
  },
  too_many_reactions: {
    status: 409,
    retry: false,
    message: 'You have as many reactions on this message as one person may; take one back first.',
  },
  too_many_conversations: {
    status: 409,
    retry: false,
    message: 'You have as many open conversations here as one visitor may; go on in one of them.',
  },
  too_many_files: {
    status: 409,
    retry: false,
    message: 'You have uploaded as much as one visitor may before sending it; send it first.',
  },
  last_owner: { status: 409, retry: false, message: 'A workspace keeps at least one owner.' },
  setup_done: { status: 409, retry: false, message: 'This server already has its first owner.' },
  too_large: { status: 413, retry: false, message: 'The body is larger than the limit.' },
  unsupported_media_type: {
    status: 415,
    retry: false,
    message: 'Send JSON (or multipart form data where a file is expected).',
  },
  file_type_refused: {
    status: 415,
    retry: false,
    message: 'Files of this type are not accepted here.',
  },
  range_not_satisfiable: {
    status: 416,
    retry: false,
    message: 'The file has no such bytes; `Content-Range` tells its size.',
  },
  expectation_failed: {
    status: 417,
    retry: false,
    message: 'Of expectations only `100-continue` is known; send the request without `Expect`.',
  },
  rate_limited: { status: 429, retry: true, message: 'Too many requests; wait and try again.' },
  headers_too_large: {
    status: 431,
    retry: false,
    message: 'The header fields are larger than the limit; send fewer or shorter ones.',
  },
  internal: { status: 500, retry: true, message: 'Something went wrong on our side.' },
  outcome_unknown: {
    status: 503,
    retry: true,
    message:
      'The outcome is unknown; look before asking again. A send may be repeated with the same clientMessageId.',
  },
  overloaded: { status: 503, retry: true, message: 'The server is busy; nothing was applied.' },
  unavailable: { status: 503, retry: true, message: 'The store is not reachable; nothing was applied.' },
} as const

export type ErrorCode = keyof typeof errors

const ofTheMoment: readonly ErrorCode[] = [
  'forbidden',
  'grant_required',
  'origin_refused',
  'conversation_closed',
  'conversation_archived',
  'wrong_state',
  'too_many_conversations',
  'too_many_files',
]

/**
 * Whether somebody may try the same again by hand: `retry`, or a refusal by who and where they are just now. What is
 * left is wrong in what was sent, and nothing but a change of that helps.
 */
export function mayPassLater({ code, retry }: { code: string; retry: boolean }): boolean {
  return retry || ofTheMoment.some((one) => one === code)
}

/**
 * WebSocket close codes (SPEC §7). 4000–4099: reconnect with back-off; 4100–4199: do not reconnect with the same
 * credentials or protocol. The range alone tells a client what to do with a code it does not know.
 */
export const closeCodes = {
  restarting: { code: 1012, reconnect: true, meaning: 'the server is going away; reconnect to another node' },
  slow_reader: {
    code: 4008,
    reconnect: true,
    meaning: 'frames were not read fast enough; resume by position',
  },
  hello_timeout: { code: 4009, reconnect: true, meaning: 'no hello frame arrived in time' },
  peer_silent: { code: 4010, reconnect: true, meaning: 'no heartbeat arrived in time' },
  token_expired: { code: 4011, reconnect: true, meaning: 'refresh the access token, then reconnect' },
  protocol_error: { code: 4100, reconnect: false, meaning: 'frames broke the protocol' },
  unauthenticated: { code: 4101, reconnect: false, meaning: 'the token is not valid' },
  revoked: { code: 4102, reconnect: false, meaning: 'the session was ended' },
  origin_refused: { code: 4103, reconnect: false, meaning: 'this origin is not allowed' },
} as const

export type CloseReason = keyof typeof closeCodes
