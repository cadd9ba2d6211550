import { randomUUIDv7 } from 'node:crypto'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { Failure } from './failure.ts'
import type { InboxRow } from './inboxes.ts'
import { hashToken, makeToken } from './tokens.ts'
import type { PersonRow } from './user-view.ts'

/** Somebody's presence in one browser. */
export type Visit = { person: PersonRow; sessionId: string; visitorToken: string }

const visitExpiry = sql<string>`now() + interval '1 year'`

/** A new visit, with a token of its own. */
export async function beginVisit(db: Db, inbox: InboxRow, person: PersonRow): Promise<Visit> {
  const sessionId = randomUUIDv7()
  const visitorToken = makeToken()
  await db
    .insertInto('session')
    .values({
      workspace_id: inbox.workspace_id,
      id: sessionId,
      person_id: person.id,
      kind: 'visitor',
      inbox_id: inbox.id,
      visitor_hash: hashToken(visitorToken),
      expires_at: visitExpiry,
    })
    .execute()
  return { person, sessionId, visitorToken }
}

/** Finds a visit by its token and keeps it for another year. Holds its row: two tabs come in one after the other. */
export async function resumeVisit(db: Db, inbox: InboxRow, visitorToken: string): Promise<Visit> {
  const session = await db
    .updateTable('session')
    .set({ expires_at: visitExpiry })
    .where('workspace_id', '=', inbox.workspace_id)
    .where('visitor_hash', '=', hashToken(visitorToken))
    .where('inbox_id', '=', inbox.id)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', sql<string>`now()`)
    .returning(['id', 'person_id'])
    .executeTakeFirstOrThrow(() => new Failure('unauthenticated'))
  const person = await db
    .selectFrom('person')
    .selectAll()
    .where('workspace_id', '=', inbox.workspace_id)
    .where('id', '=', session.person_id)
    .where('deactivated_at', 'is', null)
    .executeTakeFirstOrThrow(() => new Failure('unauthenticated'))
  return { person, sessionId: session.id, visitorToken }
}
