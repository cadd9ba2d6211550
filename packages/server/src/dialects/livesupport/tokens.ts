import { errors as jose, jwtVerify, SignJWT } from 'jose'
import { type AccessClaims, keyFor } from '../../chat/access-tokens.ts'
import type { Actor } from '../../chat/actor.ts'
import { Failure } from '../../chat/failure.ts'
import { personById } from '../../chat/people.ts'
import { actorOfSession } from '../../chat/sessions.ts'
import type { PersonRow } from '../../chat/user-view.ts'
import type { Door } from '../door.ts'
import { idOf, nameOf } from './names.ts'
import { Refusal, refusals } from './refusals.ts'
import { readLifetime, toRole } from './translate.ts'

const algorithm = 'HS256'

/** A token that clients can read, over a session of ours: what ends the session ends the token. */
export async function signToken(door: Door, person: PersonRow, claims: AccessClaims): Promise<string> {
  const issuedAt = Math.floor(Date.now() / 1_000)
  return new SignJWT({
    userId: await nameOf(door, 'person', person.id),
    role: toRole(person.role),
    email: person.email,
    sid: claims.sessionId,
    sv: claims.sessionVersion,
    ...(door.chat.config.demo && { demo: true }),
  })
    .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + readLifetime(door.mount.options.expiresIn ?? '24h'))
    .sign(await keyOf(door))
}

/** What a token says whose signature and time are right. Whether its session still stands is not said here. */
export async function readToken(door: Door, token: string): Promise<AccessClaims> {
  try {
    const { payload } = await jwtVerify(token, await keyOf(door), {
      algorithms: [algorithm],
      requiredClaims: ['userId', 'sid', 'sv', 'exp'],
    })
    const { userId, sid, sv, demo } = payload
    const person = typeof userId === 'string' ? await idOf(door, 'person', userId) : null
    if (!person || typeof sid !== 'string' || typeof sv !== 'number') throw refusals.badToken()
    if (demo && !door.chat.config.demo) throw refusals.badToken()
    return { workspaceId: door.mount.workspaceId, userId: person, sessionId: sid, sessionVersion: sv }
  } catch (error) {
    if (error instanceof jose.JWTExpired) throw refusals.expiredToken()
    throw error instanceof jose.JOSEError || error instanceof Refusal ? refusals.badToken() : error
  }
}

/** Who stands behind a token now, with the role of now; whoever is switched off is nobody. */
export async function actorOf(door: Door, claims: AccessClaims): Promise<Actor> {
  try {
    return await actorOfSession(door.chat, claims)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    throw (await isHere(door, claims)) ? refusals.badToken() : refusals.noUser()
  }
}

async function isHere({ chat }: Door, { workspaceId, userId }: AccessClaims): Promise<boolean> {
  const person = await personById(chat.db, workspaceId, userId).catch((error: unknown) => {
    if (error instanceof Failure) return null
    throw error
  })
  return person !== null && person.deactivated_at === null
}

const keys = new WeakMap<Door, Promise<CryptoKey>>()

/** Of this dialect and this workspace only: a token of another one opens nothing here. */
function keyOf(door: Door): Promise<CryptoKey> {
  const known = keys.get(door)
  if (known) return known
  const key = makeKey(door)
  keys.set(door, key)
  // A store that did not answer once is asked again.
  key.catch(() => keys.delete(door))
  return key
}

async function makeKey({ chat, mount }: Door): Promise<CryptoKey> {
  const secret = await keyFor(chat, `livesupport ${mount.workspaceId}`)
  const hmac = { name: 'HMAC', hash: 'SHA-256' }
  return crypto.subtle.importKey('raw', new Uint8Array(secret), hmac, false, ['sign', 'verify'])
}
