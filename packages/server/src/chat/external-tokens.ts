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
import type { Selectable } from 'kysely'
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

/** What a token is shown for: to visit an inbox, to get a session of ours, or at a door that speaks as its service did. */
export type TokenUse = { inboxId: string } | 'session' | 'door'

const longestIdentitySeconds = 24 * 60 * 60
const clockTolerance = 5

/**
 * Verifies a token that another service signed, by the keys that the workspace trusts and by nothing that the token
 * brings along. What else must hold depends on its use:
 *
 * | use       | audience                                          | ends                |
 * |-----------|---------------------------------------------------|---------------------|
 * | an inbox  | that inbox                                        | within 24 hours     |
 * | a session | that of the key, or none named; never an inbox    | within 24 hours     |
 * | a door    | that of the key, or not looked at; never an inbox | as it says, if ever |
 */
export async function readExternalToken(
  chat: Chat,
  workspaceId: string,
  token: string,
  use: TokenUse,
): Promise<Claimed> {
  const algorithm = algorithmOf(token)
  const keys = await trustedKeys(chat.db, workspaceId, inboxOf(use))
  let reason = new Failure('unauthenticated')
  for (const key of keys.filter(({ kind }) => algorithms[kind].includes(algorithm))) {
    try {
      const { payload } = await verify(chat, key, token, expectations(key, inboxOf(use)))
      await requireUse(chat.db, key, payload, use)
      return claimsOf(key, payload)
    } catch (error) {
      reason = refusal(error) ?? reason
    }
  }
  throw reason
}

const inboxOf = (use: TokenUse) => (typeof use === 'object' ? use.inboxId : null)

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

function expectations(key: KeyRow, inboxId: string | null): JWTVerifyOptions {
  return {
    algorithms: algorithms[key.kind],
    issuer: key.issuer ?? undefined,
    audience: inboxId ?? (key.audience || undefined),
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

async function requireUse(db: Db, key: KeyRow, payload: JWTPayload, use: TokenUse): Promise<void> {
  if (use !== 'door') requireShortLife(payload)
  if (typeof use === 'object' || payload.aud === undefined) return
  const isForOthers = use === 'session' && !key.audience
  if (isForOthers || (await namesInbox(db, key.workspace_id, payload.aud)))
    throw new Failure('unauthenticated')
}

/** A site gives such a token to its visitors: it says who somebody is in that inbox, and opens nothing else. */
async function namesInbox(db: Db, workspaceId: string, audience: string | string[]): Promise<boolean> {
  const inboxes = await db.selectFrom('inbox').select('id').where('workspace_id', '=', workspaceId).execute()
  return inboxes.some(({ id }) => [audience].flat().includes(id))
}

/** A token without an end has none that is short. */
function requireShortLife({ exp = Number.POSITIVE_INFINITY }: JWTPayload): void {
  if (exp > Date.now() / 1000 + longestIdentitySeconds + clockTolerance) throw new Failure('unauthenticated')
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
