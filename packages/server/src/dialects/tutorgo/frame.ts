import cors from '@fastify/cors'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Failure, faultOf } from '../../chat/failure.ts'
import { readJson, refuseUnkeepable } from '../../validation.ts'
import type { Mount } from '../door.ts'
import type { Guest } from './entrance.ts'
import { bearerOf, enter } from './entrance.ts'
import { Refusal, refusalOf, texts } from './refusals.ts'
import type { TutorGo } from './tutorgo.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What this route says when the fault is ours. */
    tutorgoFault?: string
  }
}

const defaultFrontend = 'http://localhost:3000'

/** What surrounds every route: CORS, a JSON reader, errors in this dialect's shape, and its answer to unknown paths. */
export async function frame(app: FastifyInstance, tutorgo: TutorGo): Promise<void> {
  const { mount, log } = tutorgo.door
  await app.register(cors, {
    origin: [frontendOf(mount)],
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PATCH'],
    exposedHeaders: ['Retry-After'],
    maxAge: 600,
  })
  readJsonOurselves(app)
  app.setErrorHandler((error, request, reply) => {
    const { refusal, isExpected } = refusalOf(error, request.routeOptions.config.tutorgoFault ?? texts.busy)
    if (!isExpected) log.error({ err: error, path: request.routeOptions.url }, 'request failed')
    return refuse(reply, refusal)
  })
  app.addHook('onSend', async (_request, reply) => {
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
  })
  app.route({
    method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    url: '/*',
    handler: (request, reply) => noRoute(request, reply, mount.base),
  })
  app.get('/', (request, reply) => noRoute(request, reply, mount.base))
}

/** The one page that is named in CORS headers, for REST as for Socket.IO. */
export const frontendOf = ({ options }: Mount) => options.frontendUrl ?? defaultFrontend

export function refuse(reply: FastifyReply, { status, message, retryAfter }: Refusal) {
  if (retryAfter !== null) reply.header('Retry-After', String(retryAfter))
  return reply.code(status).send({ success: false, message })
}

function noRoute({ url }: FastifyRequest, reply: FastifyReply, base: string) {
  const route = url.slice(base.length) || '/'
  return reply.code(404).send({ success: false, error: { message: `Route ${route} not found` } })
}

/** The text stays beside the value, for whoever signs it. Other bodies are nobody's, and are not read. */
function readJsonOurselves(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body: Buffer, done) => {
    try {
      const value = readJson(body)
      refuseUnkeepable(value)
      done(null, { value, bytes: body })
    } catch (error) {
      done(faultOf(error))
    }
  })
  app.addContentTypeParser('*', (_request, payload, done) => {
    payload.resume()
    done(null)
  })
}

/** Who asks. Tokens that say nothing are told apart from none; each person may ask so often. */
export async function guestOf(tutorgo: TutorGo, request: FastifyRequest): Promise<Guest> {
  const token = bearerOf(request.headers.authorization)
  if (token === null) throw new Refusal(401, texts.noToken)
  try {
    const guest = await enter(tutorgo, token, request.ip)
    const wait = tutorgo.requests.take(guest.actor.userId)
    if (wait > 0) throw new Refusal(429, texts.tooManyRequests, wait)
    return guest
  } catch (error) {
    if (error instanceof Failure && error.code === 'token_expired')
      throw new Refusal(tutorgo.expiredStatus, texts.badToken)
    throw error
  }
}

/** The document shows bare bodies, the public web client reads `.data`; a mount speaks one of the two. */
export function answer({ isWrapped }: TutorGo, message: string, data: unknown) {
  return isWrapped ? { success: true, message, data } : data
}

/** The same for what has nothing to show. */
export const done = ({ isWrapped }: TutorGo, message: string) => ({
  success: true,
  message,
  ...(isWrapped && { data: null }),
})
