import type { FastifyRequest } from 'fastify'
import type { AccessClaims } from '../../chat/access-tokens.ts'
import type { Actor } from '../../chat/actor.ts'
import { Failure } from '../../chat/failure.ts'
import { peopleByIds } from '../../chat/people.ts'
import { actorOfSession, type Caller } from '../../chat/sessions.ts'
import { member, type Priyo } from './priyo.ts'
import { Refusal } from './refusals.ts'

export type Known = { actor: Actor; claims: AccessClaims }

/** Who asks, by the second word of the Authorization header, whatever the first one is. */
export async function whoAsks(priyo: Priyo, request: FastifyRequest): Promise<Known> {
  const token = tokenOf(request)
  if (!token) throw new Refusal(401, 'Access token required')
  const claims = await priyo.tokens.read('access', token)
  const actor = await actorOfSession(priyo.chat, claims)
  return { claims, actor: { ...member(actor), address: request.ip } }
}

export const tokenOf = ({ headers }: FastifyRequest) => headers.authorization?.split(' ')[1]

/** The token was good, but there is no account behind it any more. */
export async function isGone(priyo: Priyo, { userId }: AccessClaims): Promise<boolean> {
  const [person] = await peopleByIds(priyo.chat.db, priyo.workspaceId, [userId])
  return !person || person.deactivated_at !== null
}

export function callerOf(request: FastifyRequest): Caller {
  const secret = request.headers['x-registration-secret']
  return {
    address: request.ip,
    origin: request.headers.origin ?? null,
    registrationSecret: typeof secret === 'string' ? secret : null,
  }
}

/** For `whoAsks` where the answer for somebody gone is another one. */
export async function whoAsksOrGone(priyo: Priyo, request: FastifyRequest): Promise<Known | 'gone'> {
  try {
    return await whoAsks(priyo, request)
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'unauthenticated') throw error
    const claims = await priyo.tokens.read('access', tokenOf(request) ?? '')
    if (await isGone(priyo, claims)) return 'gone'
    throw error
  }
}
