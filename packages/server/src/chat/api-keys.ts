import { randomUUIDv7 } from 'node:crypto'
import type { ApiKey, InputOf, ResultOf } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { type Actor, mayGrant } from './actor.ts'
import { apiKeyPrefix } from './api-key-access.ts'
import { audit } from './audit.ts'
import { type Chat, change } from './chat.ts'
import { Failure, notFound } from './failure.ts'
import { hashToken, makeToken } from './tokens.ts'

/** Makes a key for a program, which from then on is somebody of the team, with a role below its maker's. */
export async function createApiKey(
  chat: Chat,
  actor: Actor,
  { name, role }: InputOf<'apiKey.create'>,
): Promise<ResultOf<'apiKey.create'>> {
  if (!mayGrant(actor, role)) throw new Failure('forbidden')
  const token = apiKeyPrefix + makeToken()
  const [id, personId] = [randomUUIDv7(), randomUUIDv7()]
  await change(chat, async ({ db }) => {
    await db
      .insertInto('person')
      .values({ workspace_id: actor.workspaceId, id: personId, role, name, verified: true })
      .execute()
    await db
      .insertInto('api_key')
      .values({
        workspace_id: actor.workspaceId,
        id,
        person_id: personId,
        name,
        token_hash: hashToken(token),
      })
      .execute()
    await audit(db, actor, {
      action: 'apiKey.create',
      targetType: 'apiKey',
      targetId: id,
      after: { name, role, userId: personId },
    })
  })
  const [apiKey] = await keysOf(chat.db, actor).where('k.id', '=', id).execute()
  if (!apiKey) throw notFound()
  return { apiKey, token }
}

/** Keys that work. */
export async function listApiKeys(chat: Chat, actor: Actor): Promise<ResultOf<'apiKey.list'>> {
  const apiKeys: ApiKey[] = await keysOf(chat.db, actor).orderBy('k.id').execute()
  return { apiKeys }
}

const keysOf = (db: Db, actor: Actor) =>
  db
    .selectFrom('api_key as k')
    .innerJoin('person as p', (join) =>
      join.onRef('p.workspace_id', '=', 'k.workspace_id').onRef('p.id', '=', 'k.person_id'),
    )
    .select(['k.id', 'k.name', 'p.role', 'k.created_at as createdAt', 'k.last_used_at as lastUsedAt'])
    .where('k.workspace_id', '=', actor.workspaceId)
    .where('k.revoked_at', 'is', null)
    .where('p.deactivated_at', 'is', null)

/** Ends a key, and switches off who it was. */
export async function revokeApiKey(
  chat: Chat,
  actor: Actor,
  { apiKeyId }: InputOf<'apiKey.revoke'>,
): Promise<void> {
  await change(chat, async ({ db, announce }) => {
    const key = await keysOf(db, actor)
      .select('k.person_id')
      .where('k.id', '=', apiKeyId)
      .forUpdate()
      .executeTakeFirstOrThrow(notFound)
    if (!mayGrant(actor, key.role)) throw new Failure('forbidden')
    await db
      .updateTable('api_key')
      .set({ revoked_at: sql`now()` })
      .where('workspace_id', '=', actor.workspaceId)
      .where('id', '=', apiKeyId)
      .execute()
    await db
      .updateTable('person')
      .set({ deactivated_at: sql`now()`, changed_xid: sql`pg_current_xact_id()` })
      .where('workspace_id', '=', actor.workspaceId)
      .where('id', '=', key.person_id)
      .execute()
    await audit(db, actor, {
      action: 'apiKey.revoke',
      targetType: 'apiKey',
      targetId: apiKeyId,
      before: { name: key.name, role: key.role },
    })
    announce({ type: 'access', workspaceId: actor.workspaceId, userIds: [key.person_id] })
  })
}
