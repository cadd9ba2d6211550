import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Actor } from '../../chat/actor.ts'
import { Failure } from '../../chat/failure.ts'
import type { Door } from '../door.ts'
import { allRead, assigned, fetched, listed, opened, updated } from './conversations.ts'
import { history, posted } from './messages.ts'
import { type Refusal, refusalOf } from './refusals.ts'
import { card, health } from './status.ts'
import {
  fromAssignment,
  fromConversationChange,
  fromNewConversation,
  fromNewMessage,
  fromPaging,
  readObject,
  requireStatus,
} from './translate.ts'
import { whoAsks } from './who.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What this dialect says when a fault of ours stopped it from doing this. */
    failing?: string
  }
}

type Asked = { actor: Actor; id: string; query: Record<string, unknown>; body: string }

export async function routes(app: FastifyInstance, door: Door): Promise<void> {
  readBodiesLater(app)
  app.setErrorHandler((error, request, reply) => {
    const refusal = refusalOf(error)
    if (refusal) return refuse(reply, refusal)
    request.log.error({ err: error, path: request.routeOptions.url }, 'request failed')
    const message = request.routeOptions.config.failing ?? 'Internal server error'
    return reply.code(500).send({ success: false, error: { code: 'INTERNAL_ERROR', message } })
  })
  await app.register(cors, corsOf(door))
  app.get('/', async () => card(door))
  app.get('/health', async (_request, reply) => {
    const state = await health(door)
    return reply.code(state.status === 'healthy' ? 200 : 503).send(state)
  })
  app.route({
    method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    url: '/*',
    handler: async (_request, reply) => reply.code(404).type('text/plain').send('404 Not Found'),
  })
  await app.register(async (api) => conversationRoutes(api, door), { prefix: '/api/conversations' })
}

async function conversationRoutes(app: FastifyInstance, door: Door): Promise<void> {
  // Before the body is read: who may not ask, or asks too often, is not listened to.
  app.addHook('onRequest', async (request) => {
    actors.set(request, await whoAsks(door, request))
  })
  await limitPeople(app, door)

  const route = (
    method: 'GET' | 'POST' | 'PUT',
    url: string,
    failing: string,
    answer: (asked: Asked) => Promise<unknown>,
    status = 200,
  ) =>
    app.route({
      method,
      url,
      config: { failing },
      handler: async (request, reply) =>
        reply.code(status).send({ success: true, data: await answer(askedIn(request)) }),
    })

  route('GET', '/', 'Failed to list conversations', ({ actor, query }) =>
    listed(door, actor, {
      ...fromPaging(query, 20),
      ...(query.status !== undefined && { status: requireStatus(query.status) }),
    }),
  )
  route(
    'POST',
    '/',
    'Failed to create conversation',
    async ({ actor, body }) => opened(door, actor, fromNewConversation(readObject(body))),
    201,
  )
  route('GET', '/:id', 'Failed to get conversation', ({ actor, id }) => fetched(door, actor, id))
  route('PUT', '/:id', 'Failed to update conversation', async ({ actor, id, body }) =>
    updated(door, actor, id, fromConversationChange(readObject(body))),
  )
  route('POST', '/:id/assign', 'Failed to assign admin', async ({ actor, id, body }) =>
    assigned(door, actor, id, fromAssignment(readObject(body.trim() === '' ? '{}' : body))),
  )
  route('PUT', '/:id/read', 'Failed to mark conversation as read', ({ actor, id }) =>
    allRead(door, actor, id),
  )
  route('GET', '/:id/messages', 'Failed to list messages', ({ actor, id, query }) =>
    history(door, actor, id, query),
  )
  route(
    'POST',
    '/:id/messages',
    'Failed to send message',
    async ({ actor, id, body }) => posted(door, actor, id, fromNewMessage(readObject(body))),
    201,
  )
}

/** More than anybody does by hand, and little for a program that has lost its way. */
const usualPerMinute = 6_000

/** Each person has so many requests a minute, whatever addresses they come from. */
async function limitPeople(app: FastifyInstance, { mount, chat }: Door): Promise<void> {
  const given = mount.options.requestLimit
  if (given === undefined && !chat.config.rateLimit) return
  if (!app.hasDecorator('rateLimit')) {
    await app.register(rateLimit, {
      global: false,
      errorResponseBuilder: (_request, { ttl }) =>
        new Failure('rate_limited', { retryAfter: Math.ceil(ttl / 1000) }),
    })
  }
  const max = Number(given ?? usualPerMinute)
  const limit = app.rateLimit({ max, timeWindow: 60_000, keyGenerator: (request) => actorOf(request).userId })
  app.addHook('onRequest', limit)
}

const actors = new WeakMap<FastifyRequest, Actor>()

function actorOf(request: FastifyRequest): Actor {
  const actor = actors.get(request)
  if (!actor) throw new Error('A request came past the door without being asked who it is')
  return actor
}

function askedIn(request: FastifyRequest): Asked {
  const { id = '' } = request.params as { id?: string }
  const query = request.query as Record<string, unknown>
  const actor = actorOf(request)
  return { actor, id, query, body: typeof request.body === 'string' ? request.body : '' }
}

/** Clients of this dialect do not always say that their JSON is JSON, and some routes do not look at the body at all. */
function readBodiesLater(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body: Buffer, done) => {
    try {
      done(null, new TextDecoder('utf-8', { fatal: true }).decode(body))
    } catch {
      // No JSON either, which the route will find when it looks.
      done(null, '\uFFFD')
    }
  })
}

function refuse(reply: FastifyReply, { status, code, message, retryAfter }: Refusal) {
  if (retryAfter !== null) reply.header('Retry-After', String(retryAfter))
  return reply.code(status).send({ success: false, error: { code, message } })
}

/** Tokens travel in headers that pages set themselves: any page may ask. Credentials are for the pages the mount names. */
function corsOf(door: Door) {
  const named = door.mount.options.origins?.split(' ') ?? []
  const shared = {
    methods: ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'],
    allowedHeaders: ['Content-Type', 'Authorization'],
    exposedHeaders: ['Retry-After'],
    maxAge: 600,
  }
  return named.length > 0
    ? { ...shared, origin: named, credentials: true }
    : { ...shared, origin: '*', credentials: false }
}
