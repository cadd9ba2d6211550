import type { FastifyRequest } from 'fastify'
import { decodeJwt } from 'jose'
import type { Actor } from '../../chat/actor.ts'
import { Failure } from '../../chat/failure.ts'
import { identify } from '../../chat/identities.ts'
import type { Door } from '../door.ts'
import { refusals } from './refusals.ts'

/**
 * Who comes with a token of the service that keeps the accounts, by the keys that the workspace trusts. This dialect's
 * tokens name the user as a text, whatever else a key would take.
 */
export async function whoIs(door: Door, token: string, address: string | null): Promise<Actor> {
  const actor = await identify(door.chat, door.mount.workspaceId, token, { address })
  const { userId } = decodeJwt(token)
  if (typeof userId !== 'string' || userId.trim() === '') throw new Failure('unauthenticated')
  return actor
}

export function whoAsks(door: Door, request: FastifyRequest): Promise<Actor> {
  const header = request.headers.authorization ?? ''
  if (!header.startsWith('Bearer ')) throw refusals.noHeader()
  return whoIs(door, header.slice('Bearer '.length).trim(), request.ip)
}
