import { STATUS_CODES } from 'node:http'
import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import { knownFailure } from '../../chat/failure.ts'
import { readJson, refuseUnkeepable } from '../../validation.ts'
import type { Door } from '../door.ts'
import { accountRoutes } from './accounts.ts'
import { conversationRoutes } from './conversations.ts'
import { Entrance } from './entrance.ts'
import { messageRoutes } from './messages.ts'
import { peopleAt } from './people.ts'
import { type Refusal, refusalOf, refusals } from './refusals.ts'
import { streamRoute } from './stream.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What this route says of a fault of ours, if it has words of its own. */
    broken?: () => Refusal
  }
}

/** Everything of this dialect that is HTTP, with its own parser, errors and origins. */
export async function routes(app: FastifyInstance, door: Door): Promise<void> {
  readBodies(app)
  answerErrors(app, door)
  const origins = originsOf(door)
  await app.register(cors, {
    origin: [...origins],
    credentials: true,
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
  })
  if (!app.hasDecorator('rateLimit')) await app.register(rateLimit, { global: false })
  app.addHook('onSend', async (_request, reply) => {
    if (!reply.hasHeader('Cache-Control')) reply.header('Cache-Control', 'no-store')
  })
  const entrance = new Entrance(door, origins)
  accountRoutes(app, door, entrance)
  conversationRoutes(app, door, entrance)
  messageRoutes(app, door, entrance, peopleAt(door))
  streamRoute(app, door)
}

/** The page that the clients are served from, and the one they are developed on. */
function originsOf(door: Door): string[] {
  const given = door.mount.options.corsOrigin ?? 'http://localhost:5173'
  return [...new Set([...given.split(' '), 'http://localhost:3000'])]
}

function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body: Buffer, done) => {
    try {
      done(null, parse(body))
    } catch (error) {
      done(error as Error)
    }
  })
}

function parse(body: Buffer): unknown {
  const value = readJson(body)
  refuseUnkeepable(value)
  return value
}

function answerErrors(app: FastifyInstance, door: Door): void {
  app.setErrorHandler((error, request, reply) => {
    const known = refusalOf(error)
    const refusal = (known.status === 500 && request.routeOptions.config.broken?.()) || known
    if (refusal.status >= 500)
      door.log.error(
        { err: error, path: request.routeOptions.url },
        `request failed: ${STATUS_CODES[refusal.status]}`,
      )
    if (refusal.status === 429 || refusal.status === 503)
      reply.header(
        'Retry-After',
        String(knownFailure(error)?.details.retryAfter ?? reply.getHeader('Retry-After') ?? 1),
      )
    return reply.code(refusal.status).send(refusal.body)
  })
  app.setNotFoundHandler((request, reply) => {
    const refusal = refusals.noRoute(request.method, request.url.slice(door.mount.base.length) || '/')
    return reply.code(refusal.status).send(refusal.body)
  })
}
