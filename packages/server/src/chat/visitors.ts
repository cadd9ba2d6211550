import { randomUUIDv7 } from 'node:crypto'
import type { InputOf, ResultOf } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { signAccessToken } from './access-tokens.ts'
import { type Chat, change } from './chat.ts'
import { readExternalToken } from './external-tokens.ts'
import { Failure, notFound } from './failure.ts'
import type { InboxRow } from './inboxes.ts'
import { isAllowedOrigin } from './origins.ts'
import type { Caller } from './sessions.ts'
import { type PersonRow, viewUser } from './user-view.ts'
import { becomeKnown } from './visitor-identity.ts'
import { beginVisit, resumeVisit, type Visit } from './visits.ts'

/** What a page needs to draw the launcher of an inbox. Pages of our own ask without an origin. */
export async function getWidgetConfig(
  chat: Chat,
  caller: Caller,
  { widgetKey }: InputOf<'widget.config'>,
): Promise<ResultOf<'widget.config'>> {
  const inbox = await inboxOfKey(chat.db, widgetKey)
  if (caller.origin !== null) requireOrigin(chat, caller.origin, inbox)
  return {
    name: inbox.name,
    greeting: inbox.greeting,
    color: inbox.color,
    identityRequired: inbox.identity_required,
  }
}

/**
 * Begins or continues as a visitor. The visitor token is bound to the inbox and the browser that keeps it; a signed
 * identity makes the visitor somebody known, and what the same browser said before is then theirs. A proof that does
 * not hold is refused, never passed over.
 */
export async function openVisitorSession(
  chat: Chat,
  caller: Caller,
  { widgetKey, visitorToken, identity, name }: InputOf<'widget.session'>,
): Promise<ResultOf<'widget.session'>> {
  const inbox = await inboxOfKey(chat.db, widgetKey)
  requireOrigin(chat, caller.origin, inbox)
  if (inbox.identity_required && identity === undefined) throw new Failure('unauthenticated')
  const claimed = identity === undefined ? null : await readIdentity(chat, inbox, identity)
  const visit = await change(chat, async (change) => {
    const earlier = visitorToken === undefined ? null : await resumeVisit(change.db, inbox, visitorToken)
    if (claimed) return becomeKnown(change, inbox, earlier, claimed)
    return earlier
      ? rename(change.db, earlier, name)
      : beginVisit(change.db, inbox, await welcome(change.db, inbox, name))
  })
  const { accessToken, expiresAt } = await signAccessToken(chat, chat.db, {
    workspaceId: inbox.workspace_id,
    userId: visit.person.id,
    sessionId: visit.sessionId,
    sessionVersion: visit.person.session_version,
  })
  const user = { ...viewUser(visit.person), role: 'contact' as const }
  return { user, inboxId: inbox.id, visitorToken: visit.visitorToken, accessToken, expiresAt }
}

async function inboxOfKey(db: Db, widgetKey: string): Promise<InboxRow> {
  return db
    .selectFrom('inbox')
    .selectAll()
    .where('widget_key', '=', widgetKey)
    .executeTakeFirstOrThrow(notFound)
}

/** Browsers say where a request comes from whenever it can make something; where the inbox has a list, it must be on it. */
function requireOrigin(chat: Chat, origin: string | null, inbox: InboxRow): void {
  if (!isAllowedOrigin(chat, inbox.origins, origin ?? '')) throw new Failure('origin_refused')
}

/** To a visitor an expired identity is one that does not hold: the page has to fetch another. */
async function readIdentity(chat: Chat, inbox: InboxRow, identity: string) {
  try {
    return await readExternalToken(chat, inbox.workspace_id, identity, { inboxId: inbox.id })
  } catch (error) {
    const isExpired = error instanceof Failure && error.code === 'token_expired'
    throw isExpired ? new Failure('unauthenticated') : error
  }
}

/** An anonymous visitor may say their name later. */
async function rename(db: Db, visit: Visit, name: string | undefined): Promise<Visit> {
  if (name === undefined || name === visit.person.name || visit.person.verified) return visit
  const person = await db
    .updateTable('person')
    .set({ name, changed_xid: sql`pg_current_xact_id()` })
    .where('workspace_id', '=', visit.person.workspace_id)
    .where('id', '=', visit.person.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  return { ...visit, person }
}

async function welcome(db: Db, inbox: InboxRow, name = 'Visitor'): Promise<PersonRow> {
  return db
    .insertInto('person')
    .values({ workspace_id: inbox.workspace_id, id: randomUUIDv7(), role: 'contact', name })
    .returningAll()
    .executeTakeFirstOrThrow()
}
