import { createPublicKey, createSecretKey } from 'node:crypto'
import { isCleanText, limits } from '@parley/protocol'
import {
  createRemoteJWKSet,
  customFetch,
  decodeProtectedHeader,
  type JWTPayload,
  type JWTVerifyOptions,
  type JWTVerifyResult,
  errors as jose,
  jwtVerify,
} from 'jose'
import { type Selectable, sql } from 'kysely'
import type { Db, Tables } from '../store/store.ts'
import type { Chat } from './chat.ts'
import { Failure } from './failure.ts'
import { fetchOutside } from './fetch-outside.ts'

type KeyRow = Selectable<Tables['identity_key']>

/** Who a trusted service says this is. */
export type Claimed = {
  externalId: string
  name: string | null
  email: string | null
  role: 'admin' | 'supervisor' | 'agent' | 'contact'
}

/** The algorithms that a kind of key verifies, whatever a token says: a public key is never an HMAC secret. */
const algorithms: Record<KeyRow['kind'], string[]> = {
  hs256: ['HS256'],
  rs256: ['RS256'],
  eddsa: ['EdDSA', 'Ed25519'],
  jwks: ['RS256', 'ES256', 'EdDSA', 'Ed25519'],
}

const longestIdentitySeconds = 24 * 60 * 60
const clockTolerance = 5

/**
 * What a token is shown for. For an inbox, the audience is the inbox and the token lives a day at most. For a session it
 * must run out, or it would open one for ever; a door that asks for it each time takes one that does not.
 */
export type ShownFor = { inboxId: string } | 'session' | 'door'

/**
 * Verifies a token that another service signed, by the keys that the workspace trusts and by nothing that the token
 * brings along.
 */
export async function readExternalToken(
  chat: Chat,
  workspaceId: string,
  token: string,
  shownFor: ShownFor,
): Promise<Claimed> {
  const inboxId = typeof shownFor === 'object' ? shownFor.inboxId : null
  const algorithm = algorithmOf(token)
  const keys = await trustedKeys(chat.db, workspaceId, inboxId)
  let reason = new Failure('unauthenticated')
  for (const key of keys.filter(({ kind }) => algorithms[kind].includes(algorithm))) {
    try {
      const { payload } = await verify(chat, key, token, expectations(key, shownFor))
      if (inboxId) requireShortLife(payload)
      else await refuseVisitors(chat.db, workspaceId, payload)
      return claimsOf(key, payload)
    } catch (error) {
      reason = refusal(error) ?? reason
    }
  }
  throw reason
}

function algorithmOf(token: string): string {
  try {
    return decodeProtectedHeader(token).alg ?? ''
  } catch {
    throw new Failure('unauthenticated')
  }
}

/** Keys of the workspace; those bound to an inbox speak for that inbox only. */
function trustedKeys(db: Db, workspaceId: string, inboxId: string | null): Promise<KeyRow[]> {
  return db
    .selectFrom('identity_key')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where('retired_at', 'is', null)
    .where((eb) => eb.or([eb('inbox_id', 'is', null), eb('inbox_id', '=', inboxId)]))
    .orderBy('id', 'desc')
    .execute()
}

function expectations(key: KeyRow, shownFor: ShownFor): JWTVerifyOptions {
  return {
    algorithms: algorithms[key.kind],
    issuer: key.issuer ?? undefined,
    audience: typeof shownFor === 'object' ? shownFor.inboxId : (key.audience ?? undefined),
    requiredClaims: shownFor === 'door' ? [] : ['exp'],
    clockTolerance,
  }
}

function verify(chat: Chat, key: KeyRow, token: string, options: JWTVerifyOptions): Promise<JWTVerifyResult> {
  switch (key.kind) {
    case 'hs256':
      return jwtVerify(token, createSecretKey(key.material, 'utf8'), options)
    case 'rs256':
    case 'eddsa':
      return jwtVerify(token, createPublicKey(key.material), options)
    case 'jwks':
      return jwtVerify(token, keySet(chat, key.material), options)
  }
}

const keySets = new WeakMap<Chat, Map<string, ReturnType<typeof createRemoteJWKSet>>>()

/** Fetched when a token needs it, kept for ten minutes, and asked again at most twice a minute for an unknown `kid`. */
function keySet(chat: Chat, url: string) {
  const sets = keySets.get(chat) ?? new Map()
  keySets.set(chat, sets)
  const set =
    sets.get(url) ?? createRemoteJWKSet(new URL(url), { [customFetch]: (address) => fetchOutside(address) })
  sets.set(url, set)
  return set
}

function requireShortLife({ exp = Number.POSITIVE_INFINITY }: JWTPayload): void {
  if (exp > Date.now() / 1000 + longestIdentitySeconds + clockTolerance) throw new Failure('unauthenticated')
}

/** A token made for a widget lies in a visitor's page. It is good there only, also where the key names no audience. */
async function refuseVisitors(db: Db, workspaceId: string, { aud = [] }: JWTPayload): Promise<void> {
  const audiences = [aud].flat().filter(isCleanText)
  if (audiences.length === 0) return
  const inbox = await db
    .selectFrom('inbox')
    .select('id')
    .where('workspace_id', '=', workspaceId)
    .where(sql<boolean>`id::text = any (${audiences}::text[])`)
    .executeTakeFirst()
  if (inbox) throw new Failure('unauthenticated')
}

function claimsOf(key: KeyRow, payload: JWTPayload): Claimed {
  const externalId = idClaim(payload, key.user_id_claim)
  if (!externalId) throw new Failure('unauthenticated')
  const role = textClaim(payload, 'role', 64)
  return {
    externalId,
    name: textClaim(payload, 'name', limits.nameLength),
    email: textClaim(payload, 'email', limits.emailLength),
    role: (role && Object.hasOwn(key.staff_roles, role) && key.staff_roles[role]) || 'contact',
  }
}

/** Ids are text, or whole numbers as older services write them. */
function idClaim(payload: JWTPayload, name: string): string | null {
  const value = Object.hasOwn(payload, name) ? payload[name] : undefined
  return Number.isSafeInteger(value) ? String(value) : textClaim(payload, name, 200)
}

/** A claim that the store can keep as it is; others count as not made. */
function textClaim(payload: JWTPayload, name: string, maxLength: number): string | null {
  const value = Object.hasOwn(payload, name) ? payload[name] : undefined
  const isKept =
    typeof value === 'string' && value.trim() !== '' && value.length <= maxLength && isCleanText(value)
  return isKept ? value : null
}

/** What a failed attempt with one key says about the token; nothing when another key may still know it. */
function refusal(error: unknown): Failure | undefined {
  if (error instanceof jose.JWTExpired) return new Failure('token_expired')
  if (error instanceof Failure) return error
  if (error instanceof jose.JWKSTimeout || !(error instanceof jose.JOSEError)) {
    return new Failure('unavailable', {}, { cause: error })
  }
  return undefined
}
