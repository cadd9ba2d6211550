import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import type { Actor } from './actor.ts'
import type { Chat } from './chat.ts'
import { Failure } from './failure.ts'
import { recentActors } from './recent-actors.ts'
import { hashToken } from './tokens.ts'

export const apiKeyPrefix = 'pk_'
export const isApiKey = (token: string) => token.startsWith(apiKeyPrefix)

/** The program that holds this key. Its use is noted, to the minute. */
export function actorOfKey(chat: Chat, token: string): Promise<Actor> {
  const hash = hashToken(token)
  return recentActors(chat).find(`key ${hash.toString('base64url')}`, () => loadActor(chat.db, hash))
}

type KeyRow = Pick<Actor, 'name' | 'role'> & {
  workspace_id: string
  id: string
  person_id: string
  inbox_ids: string[]
  noted: boolean
}

async function loadActor(db: Db, hash: Buffer): Promise<Actor> {
  const { rows } = await sql<KeyRow>`
    select k.workspace_id, k.id, k.person_id, p.name, p.role,
      coalesce(k.last_used_at > now() - interval '1 minute', false) as noted,
      array(select m.inbox_id from inbox_member m where m.workspace_id = p.workspace_id and m.person_id = p.id) as inbox_ids
    from api_key k join person p on p.workspace_id = k.workspace_id and p.id = k.person_id
    where k.token_hash = ${hash} and k.revoked_at is null and p.deactivated_at is null`.execute(db)
  const [row] = rows
  if (!row) throw new Failure('unauthenticated')
  if (!row.noted) await noteUse(db, row)
  return {
    workspaceId: row.workspace_id,
    userId: row.person_id,
    name: row.name,
    role: row.role,
    sessionId: null,
    keyId: row.id,
    inboxIds: row.inbox_ids,
    visitorInboxId: null,
    verified: true,
    address: null,
  }
}

async function noteUse(db: Db, key: KeyRow): Promise<void> {
  await db
    .updateTable('api_key')
    .set({ last_used_at: sql`now()` })
    .where('workspace_id', '=', key.workspace_id)
    .where('id', '=', key.id)
    .execute()
}
