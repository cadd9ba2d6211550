import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto'
import { limits } from '@parley/protocol'
import type { Db } from '../store/store.ts'
import type { Chat } from './chat.ts'
import { Failure } from './failure.ts'
import { tokenSecret } from './token-secret.ts'

/** What an access token says: somebody's session, as it was when the token was made. */
export type AccessClaims = { workspaceId: string; userId: string; sessionId: string; sessionVersion: number }

type Payload = {
  wid: string
  sid: string
  sv: number
  sub: string
  aud: string
  iat: number
  exp: number
  demo?: true
}

const audience = 'parley-api'
/** The one header that we write, and the one that we read: what a token says of its algorithm is never asked. */
const header = encoded({ alg: 'HS256', typ: 'JWT' })

/**
 * Signs a short-lived token, a JWT. Those made while anybody may be anything (`--demo`) are marked, and good only there.
 *
 * By hand and not by `jose`, whose signatures come from the thread pool: read at every request and hello, each took 0.1 ms
 * of the server's processor and ten turns of its loop, where this takes 10 us and none.
 */
export async function signAccessToken(
  chat: Chat,
  db: Db,
  { workspaceId, userId, sessionId, sessionVersion }: AccessClaims,
): Promise<{ accessToken: string; expiresAt: string }> {
  const issuedAt = Math.floor(Date.now() / 1000)
  const expiry = issuedAt + limits.accessTokenSeconds
  const payload: Payload = {
    wid: workspaceId,
    sid: sessionId,
    sv: sessionVersion,
    ...(chat.config.demo && { demo: true }),
    sub: userId,
    aud: audience,
    iat: issuedAt,
    exp: expiry,
  }
  const said = `${header}.${encoded(payload)}`
  const accessToken = `${said}.${signatureOf(said, await signingKey(chat, db))}`
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
  const key = keys.get(chat) ?? (await signingKey(chat, chat.db))
  const [head, payload = '', signature = '', ...more] = token.split('.')
  if (head !== header || more.length > 0 || !isSignature(signature, `${head}.${payload}`, key)) {
    throw new Failure('unauthenticated')
  }
  const { wid, sid, sv, sub, aud, exp, demo }: Payload = JSON.parse(
    Buffer.from(payload, 'base64url').toString(),
  )
  if (aud !== audience || (demo && !chat.config.demo)) throw new Failure('unauthenticated')
  if (!established && exp * 1000 <= Date.now()) throw new Failure('token_expired')
  return { workspaceId: wid, userId: sub, sessionId: sid, sessionVersion: sv }
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

const signatureOf = (said: string, key: KeyObject) =>
  createHmac('sha256', key).update(said).digest('base64url')

/** Compares the text, of which there is one for each signature, and without telling by time how much was right. */
function isSignature(given: string, said: string, key: KeyObject): boolean {
  const right = Buffer.from(signatureOf(said, key))
  const asked = Buffer.from(given)
  return asked.length === right.length && timingSafeEqual(asked, right)
}

/** A key for one purpose, from the secret that all nodes share: what is signed with it is good nowhere else. */
export async function keyFor(chat: Chat, purpose: string): Promise<Uint8Array> {
  const secret = await secretBytes(chat.db)
  return new Uint8Array(hkdfSync('sha256', secret, '', purpose, 32))
}

const keys = new WeakMap<Chat, KeyObject>()

async function signingKey(chat: Chat, db: Db): Promise<KeyObject> {
  const known = keys.get(chat)
  if (known) return known
  const key = createSecretKey(await secretBytes(db))
  keys.set(chat, key)
  return key
}

const secretBytes = async (db: Db) => Buffer.from(await tokenSecret(db), 'base64url')
