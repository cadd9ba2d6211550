import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AddressLimit } from '../../chat/address-limit.ts'
import { Failure } from '../../chat/failure.ts'
import { readJson, refuseUnkeepable } from '../../validation.ts'
import type { Priyo } from './priyo.ts'
import { Refusal, refusalOf, tooMany } from './refusals.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    priyo?: {
      /** What is not there when nothing is found. */
      missing?: string
      /** Files and pages, which are not counted against an address. */
      open?: boolean
      /** The visitors' routes say `{ success: false, message }`. */
      visitors?: boolean
    }
  }
}

/** What surrounds every route: how bodies are read, who may ask from where and how often, and how a refusal looks. */
export function answerLikePriyo(app: FastifyInstance, priyo: Priyo): void {
  readBodies(app)
  app.addHook('onRequest', async (request, reply) => {
    setHeaders(request, reply)
    if (allowOrigin(priyo, request, reply)) return reply
  })
  limitAddresses(app, priyo)
  app.setErrorHandler((error, request, reply) => {
    const { missing, visitors } = request.routeOptions.config.priyo ?? {}
    const refusal = refusalOf(error, missing)
    if (!refusal) {
      request.log.error({ err: error, path: request.routeOptions.url }, 'request failed')
      return reply.code(500).send({ error: 'Internal server error', requestId: request.id })
    }
    if (refusal.status === 503) reply.header('retry-after', '1')
    if (refusal.retryAfter !== null) reply.header('retry-after', refusal.retryAfter)
    const plain = visitors && !('details' in refusal.body)
    return reply
      .code(refusal.status)
      .send(plain ? { success: false, message: refusal.message } : refusal.body)
  })
  for (const url of ['/', '/*']) {
    app.route({
      method: url === '/' ? ['POST', 'PUT', 'PATCH', 'DELETE'] : app.supportedMethods,
      url,
      onRequest: async () => {
        throw new Refusal(404, 'Route not found')
      },
      handler: async () => ({}),
    })
  }
}

/** JSON is read by the rules of the house; a body of any other type counts as none. */
function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, parse(body as Buffer))
    } catch (error) {
      done(error as Error)
    }
  })
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => done(null, undefined))
}

function parse(body: Buffer): unknown {
  const value = readJson(body)
  if (value === undefined) return value
  refuseUnkeepable(value)
  if (typeof value !== 'object' || value === null) throw new Failure('malformed_json')
  return value
}

function setHeaders(request: FastifyRequest, reply: FastifyReply): void {
  reply.headers({
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'SAMEORIGIN',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'cross-origin',
    'cache-control': 'no-store',
  })
  if (request.protocol === 'https') reply.header('strict-transport-security', 'max-age=15552000')
}

const defaultOrigins = 'http://localhost:3000'

/** A foreign origin gets an ordinary answer that its page may not read. True when this was only a question. */
function allowOrigin({ door }: Priyo, request: FastifyRequest, reply: FastifyReply): boolean {
  const { origin } = request.headers
  reply.header('vary', 'Origin')
  const isKnown =
    origin !== undefined && (door.mount.options.origins ?? defaultOrigins).split(' ').includes(origin)
  if (isKnown) {
    reply.headers({ 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true' })
  }
  if (request.method !== 'OPTIONS' || !request.headers['access-control-request-method']) return false
  if (isKnown) {
    reply.headers({
      'access-control-allow-methods': 'GET,POST,PUT,PATCH,DELETE',
      'access-control-allow-headers': 'Content-Type,Authorization,X-Registration-Secret',
      'access-control-max-age': '600',
    })
  }
  reply.code(204).send()
  return true
}

function limitAddresses(app: FastifyInstance, { door, chat }: Priyo): void {
  if (!chat.config.rateLimit) return
  const most = Number(door.mount.options.limit ?? (chat.config.demo ? 2_000 : 500))
  const limit = new AddressLimit(most, 15 * 60_000)
  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config.priyo?.open) return
    const { remaining, resetSeconds } = limit.count(request.ip)
    reply.headers({
      'ratelimit-limit': most,
      'ratelimit-remaining': Math.max(0, remaining),
      'ratelimit-reset': resetSeconds,
    })
    if (remaining < 0) throw tooMany('15 minutes', resetSeconds)
  })
}
