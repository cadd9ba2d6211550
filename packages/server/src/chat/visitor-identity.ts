import { sql } from 'kysely'
import type { Change } from './chat.ts'
import type { Claimed } from './external-tokens.ts'
import { findByExternalId, lockExternalId, meet } from './identities.ts'
import type { InboxRow } from './inboxes.ts'
import { admit } from './participants.ts'
import type { PersonRow } from './user-view.ts'
import { beginVisit, type Visit } from './visits.ts'

/**
 * Makes a visit that of the person whom a signed identity names. What an anonymous visitor said in this browser comes
 * along, because the browser holds that visitor's token: never because of an e-mail address, which anybody can claim.
 */
export async function becomeKnown(
  change: Change,
  inbox: InboxRow,
  earlier: Visit | null,
  claimed: Claimed,
): Promise<Visit> {
  if (earlier && isAnonymous(earlier.person)) return leaveAnonymity(change, inbox, earlier, claimed)
  const person = await meet(change, inbox.workspace_id, claimed, { roleFollows: false })
  // Somebody else used this browser before: their visit stays theirs.
  return earlier?.person.id === person.id ? { ...earlier, person } : beginVisit(change.db, inbox, person)
}

const isAnonymous = (person: PersonRow) =>
  person.role === 'contact' &&
  !person.verified &&
  person.external_id === null &&
  person.password_hash === null

/** Where nobody is known by this name yet, the anonymous visitor becomes that person; else their history joins. */
async function leaveAnonymity(
  change: Change,
  inbox: InboxRow,
  visit: Visit,
  claimed: Claimed,
): Promise<Visit> {
  await lockExternalId(change.db, inbox.workspace_id, claimed.externalId)
  const known = await findByExternalId(change.db, inbox.workspace_id, claimed.externalId)
  if (!known) return { ...visit, person: await introduce(change, visit.person, claimed) }
  const person = await meet(change, inbox.workspace_id, claimed, { roleFollows: false })
  await joinHistory(change, visit.person, person)
  await handOver(change, visit, person)
  return { ...visit, person }
}

async function introduce(change: Change, person: PersonRow, claimed: Claimed): Promise<PersonRow> {
  change.announce({ type: 'access', workspaceId: person.workspace_id, userIds: [person.id] })
  return change.db
    .updateTable('person')
    .set({
      external_id: claimed.externalId,
      name: claimed.name ?? person.name,
      email: claimed.email ?? person.email,
      verified: true,
      changed_xid: sql`pg_current_xact_id()`,
    })
    .where('workspace_id', '=', person.workspace_id)
    .where('id', '=', person.id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Brings somebody into the conversations of the anonymous visitor that they were. In order of id, as locks are taken. */
async function joinHistory(change: Change, anonymous: PersonRow, person: PersonRow): Promise<void> {
  const workspaceId = person.workspace_id
  const conversations = await change.db
    .selectFrom('participant as p')
    .innerJoin('conversation as c', (join) =>
      join.onRef('c.workspace_id', '=', 'p.workspace_id').onRef('c.id', '=', 'p.conversation_id'),
    )
    .select('c.id')
    .where('p.workspace_id', '=', workspaceId)
    .where('p.person_id', '=', anonymous.id)
    .where('p.left_at', 'is', null)
    .where('c.deleted_at', 'is', null)
    .orderBy('c.id')
    .execute()
  for (const { id } of conversations) {
    await admit(change, { workspaceId, userId: person.id }, id, { userId: person.id, role: 'contact' })
  }
}

/** The visit, and the token in the browser, are the known person's from now on. */
async function handOver(change: Change, { person: anonymous, sessionId }: Visit, person: PersonRow) {
  await change.db
    .updateTable('session')
    .set({ person_id: person.id, changed_xid: sql`pg_current_xact_id()` })
    .where('workspace_id', '=', person.workspace_id)
    .where('id', '=', sessionId)
    .execute()
  const userIds = [anonymous.id, person.id]
  change.announce({ type: 'access', workspaceId: person.workspace_id, userIds })
}
