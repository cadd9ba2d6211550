import type { ParticipantRole } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'

/** Somebody who takes part, under the name that another service knows them by, and when they marked all read. */
export type Member = {
  userId: string
  externalId: string | null
  role: ParticipantRole
  joinedAt: string
  allReadAt: string | null
}

/** Who takes part in each of these conversations, in the order they came. The caller has checked who asks. */
export async function rostersOf(
  db: Db,
  workspaceId: string,
  conversationIds: readonly string[],
): Promise<Map<string, Member[]>> {
  const rows = await db
    .selectFrom('participant as p')
    .innerJoin('person as s', (join) =>
      join.onRef('s.workspace_id', '=', 'p.workspace_id').onRef('s.id', '=', 'p.person_id'),
    )
    .leftJoin('receipt as r', (join) =>
      join
        .onRef('r.workspace_id', '=', 'p.workspace_id')
        .onRef('r.conversation_id', '=', 'p.conversation_id')
        .onRef('r.person_id', '=', 'p.person_id'),
    )
    .select([
      'p.conversation_id',
      'p.person_id as userId',
      's.external_id as externalId',
      'p.role',
      'p.joined_at as joinedAt',
      'r.all_read_at as allReadAt',
    ])
    .where('p.workspace_id', '=', workspaceId)
    .where(sql<boolean>`p.conversation_id = any (${conversationIds}::uuid[])`)
    .where('p.left_at', 'is', null)
    .orderBy('p.joined_at')
    .orderBy('p.person_id')
    .execute()
  const members = rows.map(({ conversation_id: id, ...member }) => ({ id, member }))
  return new Map(
    [...Map.groupBy(members, ({ id }) => id)].map(([id, ofOne]) => [id, ofOne.map(({ member }) => member)]),
  )
}
