import type { User } from '@parley/protocol'
import type { Selectable } from 'kysely'
import type { Tables } from '../store/store.ts'

export type PersonRow = Selectable<Tables['person']>

export function viewUser(row: PersonRow): User {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    email: row.email,
    username: row.username,
    externalId: row.external_id,
    avatarUrl: row.avatar_url,
    verified: row.verified,
    metadata: row.metadata,
    createdAt: row.created_at,
    deactivatedAt: row.deactivated_at,
  }
}

/** What a contact learns of somebody else: who it is, and nothing the team wrote down or the person signs in with. */
export const viewAcquaintance = (row: PersonRow): User => ({
  ...viewUser(row),
  email: null,
  username: null,
  externalId: null,
  metadata: {},
})
