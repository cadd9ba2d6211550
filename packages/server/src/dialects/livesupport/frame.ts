import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Failure, knownFailure } from '../../chat/failure.ts'
import { readJson, refuseUnkeepable } from '../../validation.ts'
import type { Door } from '../door.ts'
import { Refusal, refusalOf, refusals } from './refusals.ts'

/** What surrounds every route: how bodies are read, which pages may ask, and how an answer looks. */
export async function frameRoutes(app: FastifyInstance, door: Door): Promise<void> {
  readBodies(app)
  app.addHook('onRequest', async (request, reply) => allowOrigin(door, request, reply))
  app.setErrorHandler((error, request, reply) => {
    const refusal = refusalOf(error)
    if (refusal.status >= 500) {
      request.log.error({ err: error, path: request.routeOptions.url }, 'request failed')
    }
    if (refusal.status === 429 || refusal.status === 503) {
      reply.header('retry-after', String(knownFailure(error)?.details.retryAfter ?? 1))
    }
    return reply.code(refusal.status).send({ success: false, error: refusal.message })
  })
  // The main listener counts already; a port of its own has nobody else to.
  if (!app.hasDecorator('rateLimit')) {
    await app.register(rateLimit, {
      global: false,
      errorResponseBuilder: (_request, { ttl }) =>
        new Failure('rate_limited', { retryAfter: Math.ceil(ttl / 1000) }),
    })
  }
  for (const url of ['/', '/*']) {
    app.all(url, (request, reply) => {
      if (request.method === 'OPTIONS') return reply.code(204).send()
      throw refusals.noRoute()
    })
  }
}

/** JSON by the rules of the house; a body of any other type counts as none. */
function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, parseBody(body as Buffer))
    } catch (error) {
      done(error as Error)
    }
  })
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => done(null, undefined))
}

function parseBody(body: Buffer): unknown {
  const value = parse(body)
  refuseUnkeepable(value)
  return value
}

/** Refuses in the parser's own words, as these clients know them. */
function parse(body: Buffer): unknown {
  try {
    return readJson(body)
  } catch (error) {
    const { cause } = error as Failure
    throw cause instanceof SyntaxError ? new Refusal(400, cause.message) : error
  }
}

/** Tokens travel in a header that pages set themselves, so any page may ask; only named ones may send credentials. */
function allowOrigin(door: Door, request: FastifyRequest, reply: FastifyReply): void {
  const { origins } = door.mount.options
  const { origin } = request.headers
  reply.header('cache-control', 'no-store')
  if (origins === undefined) reply.header('access-control-allow-origin', '*')
  else {
    reply.header('vary', 'Origin')
    if (origin === undefined || !origins.split(' ').includes(origin)) return
    reply.header('access-control-allow-origin', origin).header('access-control-allow-credentials', 'true')
  }
  if (request.method !== 'OPTIONS') return
  reply
    .header('access-control-allow-methods', 'GET,HEAD,POST,OPTIONS')
    .header('access-control-allow-headers', 'Authorization,Content-Type,X-Registration-Secret')
    .header('access-control-max-age', '600')
}
