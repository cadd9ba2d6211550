import { hkdfSync, randomBytes } from 'node:crypto'
import { limits } from '@parley/protocol'
import { errors as jose, jwtVerify, SignJWT } from 'jose'
import type { Db } from '../store/store.ts'
import type { Chat } from './chat.ts'
import { Failure } from './failure.ts'

/** What an access token says: somebody's session, as it was when the token was made. */
export type AccessClaims = { workspaceId: string; userId: string; sessionId: string; sessionVersion: number }

const audience = 'parley-api'
const algorithm = 'HS256'

/** Signs a short-lived token. Those made while anybody may be anything (`--demo`) are marked, and good only there. */
export async function signAccessToken(
  chat: Chat,
  db: Db,
  { workspaceId, userId, sessionId, sessionVersion }: AccessClaims,
): Promise<{ accessToken: string; expiresAt: string }> {
  const issuedAt = Math.floor(Date.now() / 1000)
  const expiry = issuedAt + limits.accessTokenSeconds
  const accessToken = await new SignJWT({
    wid: workspaceId,
    sid: sessionId,
    sv: sessionVersion,
    ...(chat.config.demo && { demo: true }),
  })
    .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
    .setSubject(userId)
    .setAudience(audience)
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiry)
    .sign(await signingKey(chat, db))
  return { accessToken, expiresAt: new Date(expiry * 1000).toISOString() }
}

/**
 * The claims of a token that we signed and that has not expired. Whether its session still stands is not said here.
 * An `established` connection was opened in time and may look at its token again later.
 */
export async function readAccessToken(
  chat: Chat,
  token: string,
  { established = false }: { established?: boolean } = {},
): Promise<AccessClaims> {
  try {
    const { payload } = await jwtVerify<{ wid: string; sid: string; sv: number; demo?: boolean }>(
      token,
      await signingKey(chat, chat.db),
      {
        algorithms: [algorithm],
        audience,
        requiredClaims: ['sub', 'wid', 'sid', 'sv', 'exp'],
        ...(established && { currentDate: new Date(0) }),
      },
    )
    if (payload.demo && !chat.config.demo) throw new Failure('unauthenticated')
    return {
      workspaceId: payload.wid,
      userId: payload.sub ?? '',
      sessionId: payload.sid,
      sessionVersion: payload.sv,
    }
  } catch (error) {
    if (error instanceof jose.JWTExpired) throw new Failure('token_expired')
    if (error instanceof jose.JOSEError) throw new Failure('unauthenticated')
    throw error
  }
}

/** Makes the secret that all nodes on one store sign with, unless it is there. Called at the start. */
export async function ensureTokenSecret(db: Db): Promise<void> {
  await db
    .insertInto('server_meta')
    .values({ key: secretKey, value: randomBytes(32).toString('base64url') })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** A key for one purpose, from the secret that all nodes share: what is signed with it is good nowhere else. */
export async function keyFor(chat: Chat, purpose: string): Promise<Uint8Array> {
  const secret = await tokenSecret(chat.db)
  return new Uint8Array(hkdfSync('sha256', secret, '', purpose, 32))
}

const secretKey = 'token_secret'
const keys = new WeakMap<Chat, CryptoKey>()

async function signingKey(chat: Chat, db: Db): Promise<CryptoKey> {
  const known = keys.get(chat)
  if (known) return known
  const secret = await tokenSecret(db)
  const hmac = { name: 'HMAC', hash: 'SHA-256' }
  const key = await crypto.subtle.importKey('raw', secret, hmac, false, ['sign', 'verify'])
  keys.set(chat, key)
  return key
}

async function tokenSecret(db: Db): Promise<Buffer<ArrayBuffer>> {
  const { value } = await db
    .selectFrom('server_meta')
    .select('value')
    .where('key', '=', secretKey)
    .executeTakeFirstOrThrow()
  return Buffer.from(value, 'base64url')
}
