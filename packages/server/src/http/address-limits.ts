import type { OperationName } from '@parley/protocol'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify'
import { Failure } from '../chat/failure.ts'

/** Where guessing pays: each try of an address counts, whatever comes of it. */
const guessable = new Set<OperationName>([
  'setup.claim',
  'auth.register',
  'auth.login',
  'auth.exchange',
  'me.password',
])

/** Where a token is shown that nobody can guess, with each page that somebody opens. */
const shown = new Set<OperationName>(['auth.refresh', 'widget.session'])

const triesPerMinute = 30
const newcomersPerMinute = 300
const timeWindow = 60_000

type Limits = Pick<RouteShorthandOptions, 'onRequest' | 'preHandler' | 'onSend'>

/** What keeps one address from asking this operation too often, as hooks of its route; none for most operations. */
export function addressLimits(app: FastifyInstance, name: OperationName): Limits {
  if (guessable.has(name)) return { onRequest: app.rateLimit({ max: triesPerMinute, timeWindow }) }
  if (!shown.has(name)) return {}
  const { admit, count } = failureLimit(app)
  const newcomer = newcomerLimit(app)
  return { preHandler: name === 'widget.session' ? [admit, newcomer] : [admit], onSend: count }
}

/** An office, or all who come through one proxy, share an address: who shows a token that is right does not count. */
function failureLimit(app: FastifyInstance) {
  const failures = app.createRateLimit({ max: triesPerMinute, timeWindow })
  const admit = async (request: FastifyRequest) => {
    const state = await failures(request, { increment: false })
    if (!state.isAllowed && state.remaining === 0) throw limited(state.ttl)
  }
  const count = async (request: FastifyRequest, { statusCode }: FastifyReply) => {
    if (statusCode >= 400 && statusCode < 500 && statusCode !== 429) await failures(request)
  }
  return { admit, count }
}

/** Each of them becomes a person in the store. */
function newcomerLimit(app: FastifyInstance) {
  const newcomers = app.createRateLimit({ max: newcomersPerMinute, timeWindow })
  return async (request: FastifyRequest) => {
    if (showsToken(request.body)) return
    const state = await newcomers(request)
    if (!state.isAllowed && state.isExceeded) throw limited(state.ttl)
  }
}

const showsToken = (body: unknown) =>
  typeof body === 'object' && body !== null && 'visitorToken' in body && body.visitorToken !== undefined

const limited = (ttl: number) =>
  new Failure('rate_limited', { retryAfter: Math.max(1, Math.ceil(ttl / 1_000)) })
