import type { FastifyRequest } from 'fastify'
import type { Actor } from '../../chat/actor.ts'
import type { Caller } from '../../chat/sessions.ts'
import type { Door } from '../door.ts'
import { refusals } from './refusals.ts'
import { actorOf, readToken } from './tokens.ts'
import { toRole, type WireRole } from './translate.ts'

/** Whoever asks; with roles, only somebody who has one of them. */
export async function whoAsks(door: Door, request: FastifyRequest, ...roles: WireRole[]): Promise<Actor> {
  const token = bearerOf(request)
  if (!token) throw refusals.noToken()
  const actor = await actorOf(door, await readToken(door, token))
  const role = toRole(actor.role)
  if (roles.length > 0 && !roles.includes(role)) throw refusals.role(role)
  return { ...actor, address: request.ip }
}

export function bearerOf({ headers }: FastifyRequest): string | undefined {
  return /^Bearer +(\S+)$/.exec(headers.authorization ?? '')?.[1]
}

export function callerOf({ ip, headers }: FastifyRequest): Caller {
  const secret = headers['x-registration-secret']
  return {
    address: ip,
    origin: headers.origin ?? null,
    registrationSecret: typeof secret === 'string' ? secret : null,
  }
}
