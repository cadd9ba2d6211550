import { createPublicKey, randomUUIDv7 } from 'node:crypto'
import type { IdentityKey, InputOf, ResultOf } from '@parley/protocol'
import { type Selectable, sql } from 'kysely'
import type { Tables } from '../store/store.ts'
import { type Actor, mayGrant } from './actor.ts'
import { audit } from './audit.ts'
import { type Chat, change } from './chat.ts'
import { Failure, invalid, notFound } from './failure.ts'
import { isFetchable } from './fetch-outside.ts'
import { requireInbox } from './inboxes.ts'

/** Trusts tokens signed elsewhere. A key makes nobody staff of a rank that its maker could not grant. */
export async function createIdentityKey(
  chat: Chat,
  actor: Actor,
  input: InputOf<'identityKey.create'>,
): Promise<IdentityKey> {
  const { kind, inboxId = null, issuer = null, audience = null, userIdClaim, staffRoles = {} } = input
  if (Object.values(staffRoles).some((role) => !mayGrant(actor, role))) throw new Failure('forbidden')
  const material = materialOf(input)
  return change(chat, async ({ db }) => {
    if (inboxId) await requireInbox(db, actor.workspaceId, inboxId)
    const row = await db
      .insertInto('identity_key')
      .values({
        workspace_id: actor.workspaceId,
        id: randomUUIDv7(),
        kind,
        material,
        inbox_id: inboxId,
        issuer,
        audience,
        user_id_claim: userIdClaim,
        staff_roles: JSON.stringify(staffRoles),
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    const view = viewIdentityKey(row)
    await audit(db, actor, {
      action: 'identityKey.create',
      targetType: 'identityKey',
      targetId: row.id,
      after: { ...view, staffRoles },
    })
    return view
  })
}

/** What is kept of a key: exactly the field that its kind needs, checked, and of a key pair only the public half. */
function materialOf({ kind, secret, publicKey, jwksUrl }: InputOf<'identityKey.create'>): string {
  const given = { secret, publicKey, jwksUrl }
  const needed = ({ hs256: 'secret', rs256: 'publicKey', eddsa: 'publicKey', jwks: 'jwksUrl' } as const)[kind]
  for (const [field, value] of Object.entries(given)) {
    if (field !== needed && value !== undefined) throw invalid(field, `Not for a key of kind ${kind}`)
  }
  const value = given[needed]
  if (value === undefined) throw invalid(needed, `Needed for a key of kind ${kind}`)
  if (kind === 'hs256') return requireSecret(value)
  if (kind === 'jwks') return requireUrl(value)
  return requirePublicKey(kind, value)
}

/** Secrets out of somebody's documentation are known to everybody. */
const placeholder =
  /^(your|my|change|replace|example|secret|super|password|test|default|insert|jwt)[-_ ]?(me|this|secret|your|key|with|in|jwt|super)/i

function requireSecret(secret: string): string {
  if (placeholder.test(secret) || new Set(secret).size < 10) {
    throw invalid('secret', 'This is a placeholder; use at least 32 random characters')
  }
  return secret
}

function requireUrl(url: string): string {
  if (!isFetchable(url))
    throw invalid('jwksUrl', 'Use https to a public address, or http on this machine, without credentials')
  return url
}

function requirePublicKey(kind: 'rs256' | 'eddsa', pem: string): string {
  const key = parsePem(pem)
  const fits =
    kind === 'eddsa'
      ? key?.asymmetricKeyType === 'ed25519'
      : key?.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048
  if (!key || !fits) {
    throw invalid(
      'publicKey',
      kind === 'eddsa' ? 'Not an Ed25519 key in PEM' : 'Not an RSA key of at least 2048 bits in PEM',
    )
  }
  return key.export({ type: 'spki', format: 'pem' }).toString()
}

/** Keys that have been through an environment variable often carry their line ends as the two characters \n. */
function parsePem(pem: string) {
  try {
    return createPublicKey(pem.replaceAll('\\n', '\n'))
  } catch {
    return null
  }
}

/** Keys whose tokens are trusted. */
export async function listIdentityKeys(chat: Chat, actor: Actor): Promise<ResultOf<'identityKey.list'>> {
  const rows = await chat.db
    .selectFrom('identity_key')
    .selectAll()
    .where('workspace_id', '=', actor.workspaceId)
    .where('retired_at', 'is', null)
    .orderBy('id')
    .execute()
  return { identityKeys: rows.map(viewIdentityKey) }
}

/** Stops trusting a key. Sessions that its tokens were swapped for go on; people are switched off one by one. */
export async function retireIdentityKey(
  chat: Chat,
  actor: Actor,
  { identityKeyId }: InputOf<'identityKey.retire'>,
): Promise<void> {
  await change(chat, async ({ db }) => {
    const row = await db
      .updateTable('identity_key')
      .set({ retired_at: sql`now()` })
      .where('workspace_id', '=', actor.workspaceId)
      .where('id', '=', identityKeyId)
      .where('retired_at', 'is', null)
      .returningAll()
      .executeTakeFirstOrThrow(notFound)
    await audit(db, actor, {
      action: 'identityKey.retire',
      targetType: 'identityKey',
      targetId: identityKeyId,
      before: viewIdentityKey(row),
    })
  })
}

const viewIdentityKey = (row: Selectable<Tables['identity_key']>): IdentityKey => ({
  id: row.id,
  kind: row.kind,
  inboxId: row.inbox_id,
  issuer: row.issuer,
  audience: row.audience,
  userIdClaim: row.user_id_claim,
  createdAt: row.created_at,
})
