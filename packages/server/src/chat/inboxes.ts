import { randomBytes, randomUUIDv7 } from 'node:crypto'
import type { Inbox, InputOf, ResultOf } from '@parley/protocol'
import type { Selectable } from 'kysely'
import type { Db, Tables } from '../store/store.ts'
import { type Actor, isAdmin } from './actor.ts'
import { audit } from './audit.ts'
import { type Change, type Chat, change } from './chat.ts'
import { invalid, notFound } from './failure.ts'

export type InboxRow = Selectable<Tables['inbox']>

/** Makes an inbox with a widget key of its own. The key stands on public pages: it names the inbox, and opens nothing. */
export async function createInbox(chat: Chat, actor: Actor, input: InputOf<'inbox.create'>): Promise<Inbox> {
  return change(chat, ({ db }) => writeInbox(db, actor, input))
}

export async function writeInbox(
  db: Db,
  actor: { workspaceId: string; userId: string | null; address: string | null },
  input: InputOf<'inbox.create'>,
): Promise<Inbox> {
  const row = await db
    .insertInto('inbox')
    .values({
      workspace_id: actor.workspaceId,
      id: randomUUIDv7(),
      widget_key: randomBytes(16).toString('base64url'),
      ...columnsOf(input),
      name: input.name,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  const inbox = viewInbox(row)
  await audit(db, actor, { action: 'inbox.create', targetType: 'inbox', targetId: row.id, after: inbox })
  return inbox
}

/** Inboxes of one kind, for whoever chooses where to turn; a kind is public when its door says so. */
export async function inboxesOfKind(
  db: Db,
  workspaceId: string,
  kind: string,
): Promise<Pick<InboxRow, 'id' | 'name'>[]> {
  return db
    .selectFrom('inbox')
    .select(['id', 'name'])
    .where('workspace_id', '=', workspaceId)
    .where('kind', '=', kind)
    .orderBy('created_at')
    .orderBy('id')
    .execute()
}

/** Changes an inbox. Where a signed identity becomes necessary, visitors without one are out at once. */
export async function updateInbox(
  chat: Chat,
  actor: Actor,
  { inboxId, ...input }: InputOf<'inbox.update'>,
): Promise<Inbox> {
  const columns = columnsOf(input)
  return change(chat, async (change) => {
    const before = await requireInbox(change.db, actor.workspaceId, inboxId)
    if (Object.keys(input).length === 0) return viewInbox(before)
    const after = await change.db
      .updateTable('inbox')
      .set(columns)
      .where('workspace_id', '=', actor.workspaceId)
      .where('id', '=', inboxId)
      .returningAll()
      .executeTakeFirstOrThrow(notFound)
    await audit(change.db, actor, {
      action: 'inbox.update',
      targetType: 'inbox',
      targetId: inboxId,
      before: viewInbox(before),
      after: viewInbox(after),
    })
    if (after.identity_required && !before.identity_required) await announceStrangers(change, after)
    return viewInbox(after)
  })
}

const columnsOf = (input: Omit<InputOf<'inbox.update'>, 'inboxId'>) => ({
  name: input.name,
  kind: input.kind,
  origins: input.origins?.map(plainOrigin),
  greeting: input.greeting,
  color: input.color,
  identity_required: input.identityRequired,
  reopen_hours: input.reopenHours,
})

/** As browsers send it: lower case, no default port. Anything more than an origin is refused, not cut. */
function plainOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  const isOrigin = url && url.username === '' && url.password === '' && url.href === `${url.origin}/`
  if (!isOrigin) throw invalid('origins', 'Each is a scheme, a host and perhaps a port, nothing more')
  return url.origin
}

async function announceStrangers(change: Change, inbox: InboxRow): Promise<void> {
  const rows = await change.db
    .selectFrom('session as s')
    .innerJoin('person as p', (join) =>
      join.onRef('p.workspace_id', '=', 's.workspace_id').onRef('p.id', '=', 's.person_id'),
    )
    .select('p.id')
    .distinct()
    .where('s.workspace_id', '=', inbox.workspace_id)
    .where('s.inbox_id', '=', inbox.id)
    .where('s.revoked_at', 'is', null)
    .where('p.verified', '=', false)
    .execute()
  const userIds = rows.map((row) => row.id)
  if (userIds.length > 0) change.announce({ type: 'access', workspaceId: inbox.workspace_id, userIds })
}

/** Inboxes I work in; all of them for admins. */
export async function listInboxes(chat: Chat, actor: Actor): Promise<ResultOf<'inbox.list'>> {
  if (!isAdmin(actor) && actor.inboxIds.length === 0) return { inboxes: [] }
  const rows = await chat.db
    .selectFrom('inbox')
    .selectAll()
    .where('workspace_id', '=', actor.workspaceId)
    .$if(!isAdmin(actor), (query) => query.where('id', 'in', actor.inboxIds))
    .orderBy('name')
    .orderBy('id')
    .execute()
  return { inboxes: rows.map(viewInbox) }
}

export async function getInbox(chat: Chat, actor: Actor, { inboxId }: InputOf<'inbox.get'>): Promise<Inbox> {
  return viewInbox(await requireOwnInbox(chat.db, actor, inboxId))
}

/** An inbox that this person works in; for everybody else there is none of this id. */
export async function requireOwnInbox(db: Db, actor: Actor, inboxId: string): Promise<InboxRow> {
  if (!isAdmin(actor) && !actor.inboxIds.includes(inboxId)) throw notFound()
  return requireInbox(db, actor.workspaceId, inboxId)
}

/** The inbox of this id, or the oldest one, where strangers come in. */
export async function findInbox(db: Db, workspaceId: string, inboxId?: string): Promise<InboxRow> {
  return db
    .selectFrom('inbox')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .$if(inboxId !== undefined, (query) => query.where('id', '=', inboxId ?? ''))
    .orderBy('created_at')
    .orderBy('id')
    .limit(1)
    .executeTakeFirstOrThrow(notFound)
}

/** The inbox of this id, if it is one of the workspace's; otherwise `not_found`. */
export async function requireInbox(db: Db, workspaceId: string, inboxId: string): Promise<InboxRow> {
  return db
    .selectFrom('inbox')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where('id', '=', inboxId)
    .executeTakeFirstOrThrow(notFound)
}

const viewInbox = (row: InboxRow): Inbox => ({
  id: row.id,
  name: row.name,
  kind: row.kind,
  widgetKey: row.widget_key,
  origins: row.origins,
  greeting: row.greeting,
  color: row.color,
  identityRequired: row.identity_required,
  reopenHours: row.reopen_hours,
  createdAt: row.created_at,
})
