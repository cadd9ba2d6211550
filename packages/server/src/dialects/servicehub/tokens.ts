import { errors as jose, jwtVerify, SignJWT } from 'jose'
import { type AccessClaims, keyFor } from '../../chat/access-tokens.ts'
import type { Actor } from '../../chat/actor.ts'
import type { Caller } from '../../chat/sessions.ts'
import { actorOfSession } from '../../chat/sessions.ts'
import type { Door } from '../door.ts'
import type { Someone } from './people.ts'
import { refusals } from './refusals.ts'

/** Whoever stands behind a token: in the core, and as this dialect calls them. */
export type Holder = { actor: Actor; id: string }

/** What a token says, once its signature has been checked. */
export type Claims = AccessClaims & { id: string }

const algorithm = 'HS256'
const lifetimeSeconds = 3_600

/** Clients read `id` and `role` out of the token themselves; the rest binds it to a session that can be ended. */
export async function signToken(door: Door, someone: Someone, session: AccessClaims): Promise<string> {
  const issuedAt = Math.floor(Date.now() / 1000)
  return new SignJWT({
    ...someone,
    sid: session.sessionId,
    sv: session.sessionVersion,
    ...(door.chat.config.demo && { demo: true }),
  })
    .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
    .setSubject(session.userId)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + lifetimeSeconds)
    .sign(await keyOf(door))
}

/** Refuses what we did not sign for this workspace, and what has run out. */
export async function readToken(door: Door, token: string): Promise<Claims> {
  const payload = await verified(door, token)
  if (typeof payload.id !== 'string') throw refusals.badPayload()
  const { sub, sid, sv } = payload
  if (typeof sub !== 'string' || typeof sid !== 'string' || typeof sv !== 'number') throw refusals.badToken()
  if (payload.demo && !door.chat.config.demo) throw refusals.badToken()
  return {
    id: payload.id,
    workspaceId: door.mount.workspaceId,
    userId: sub,
    sessionId: sid,
    sessionVersion: sv,
  }
}

/** Who it is now: a session that was ended opens nothing, whatever its token says. */
export async function holderOf(door: Door, claims: Claims, { address }: Caller): Promise<Holder> {
  const actor = await actorOfSession(door.chat, claims)
  return { actor: { ...actor, address }, id: claims.id }
}

async function verified(door: Door, token: string) {
  const key = await keyOf(door)
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: [algorithm],
      requiredClaims: ['exp'],
    })
    return payload
  } catch (error) {
    if (error instanceof jose.JOSEError || error instanceof TypeError) throw refusals.badToken()
    throw error
  }
}

const keys = new WeakMap<Door, Promise<Uint8Array>>()

/** The same at every mount of a workspace, so that a token from the prefix is good at the root. */
function keyOf(door: Door): Promise<Uint8Array> {
  const { dialect, workspaceId } = door.mount
  const known = keys.get(door)
  if (known) return known
  const key = keyFor(door.chat, `dialect ${dialect} ${workspaceId}`)
  keys.set(door, key)
  // A store that did not answer once is asked again.
  key.catch(() => keys.delete(door))
  return key
}
