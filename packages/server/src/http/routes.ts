import { operationNames, operationOf } from '@parley/protocol'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Actor } from '../chat/actor.ts'
import { Failure } from '../chat/failure.ts'
import { perform } from '../operations.ts'
import type { Parley } from '../parley.ts'
import { callerOf } from '../realtime/caller.ts'
import { checkPart } from '../validation.ts'
import { addressLimits } from './address-limits.ts'

export type Authenticate = (request: FastifyRequest) => Promise<Actor>

/** Every operation of the protocol as a route, straight from its table; those with files or bytes have doors of their own. */
export function operationRoutes(app: FastifyInstance, parley: Parley, authenticate: Authenticate): void {
  for (const name of operationNames) {
    const { method, path, access, status, form } = operationOf(name)
    if (form) continue
    app.route({
      method,
      url: `/api/v1${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
      config: { operation: name },
      ...(parley.chat.config.rateLimit && addressLimits(app, name)),
      handler: async (request: FastifyRequest, reply: FastifyReply) => {
        // Who comes before what: somebody without a right learns nothing of what a valid request looks like.
        const who =
          access === 'public'
            ? callerOf(request.raw, parley.chat.config.proxies)
            : await authenticate(request)
        const input = {
          ...checkPart(name, 'body', method === 'GET' ? (request.body ?? {}) : bodyOf(request)),
          ...checkPart(name, 'query', request.query),
          ...checkPart(name, 'params', request.params),
        }
        const result = await perform(parley, name, who, input)
        return result === undefined ? reply.code(204).send() : reply.code(status).send(result)
      },
    })
  }
}

function bodyOf(request: FastifyRequest): unknown {
  if (request.body === undefined || request.body === null) return request.body === null ? refuse() : {}
  if (typeof request.body !== 'object' || Array.isArray(request.body)) return refuse()
  return request.body
}

function refuse(): never {
  throw new Failure('invalid_request', { field: '', message: 'The body is a JSON object' })
}
