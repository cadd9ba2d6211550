import { randomUUIDv7 } from 'node:crypto'
import type { Grant, InputOf, ResultOf } from '@parley/protocol'
import { type Selectable, sql } from 'kysely'
import type { Db, Tables } from '../store/store.ts'
import { type Actor, isAdmin } from './actor.ts'
import { audit } from './audit.ts'
import { type Change, type Chat, change } from './chat.ts'
import { Failure, invalid, notFound } from './failure.ts'
import { requireInstant } from './instants.ts'

type GrantRow = Selectable<Tables['access_grant']>

/** Somebody, or a service that the workspace relies on and that is nobody here. */
export type Granter = Pick<Actor, 'workspaceId' | 'address'> & { userId: string | null }

/** Lets two people write to each other. With the reference of an earlier grant, that one becomes as asked for now. */
export async function createGrant(
  chat: Chat,
  actor: Granter,
  input: InputOf<'grant.create'>,
): Promise<Grant> {
  const columns = columnsOf(input)
  const pair = [columns.person_a, columns.person_b]
  return change(chat, async (change) => {
    await requirePeople(change.db, actor.workspaceId, pair)
    const before = await lockByReference(change.db, actor.workspaceId, columns.external_ref)
    const id = before?.id ?? randomUUIDv7()
    const after = await change.db
      .insertInto('access_grant')
      .values({ workspace_id: actor.workspaceId, id, ...columns })
      .onConflict((conflict) =>
        conflict
          .columns(['workspace_id', 'external_ref'])
          .where('external_ref', 'is not', null)
          .doUpdateSet({ ...columns, ended_at: null, changed_xid: sql`pg_current_xact_id()` }),
      )
      .returningAll()
      .executeTakeFirstOrThrow()
    await note(change, actor, 'grant.create', before, after)
    return viewGrant(after)
  })
}

function columnsOf({
  kind = 'grant',
  userIds,
  scopes,
  startsAt,
  endsAt,
  externalRef,
}: InputOf<'grant.create'>) {
  const [person_a, person_b] = [...userIds].sort()
  if (!person_a || !person_b || person_a === person_b) throw invalid('userIds', 'Name two different people')
  const starts_at = startsAt === undefined ? null : requireInstant('startsAt', startsAt)
  const ends_at = endsAt === undefined ? null : requireInstant('endsAt', endsAt)
  if (starts_at && ends_at && Date.parse(starts_at) >= Date.parse(ends_at)) {
    throw invalid('endsAt', 'A grant ends after it starts')
  }
  return {
    kind,
    person_a,
    person_b,
    scopes: [...new Set(scopes ?? (['read', 'write', 'attach', 'call'] as const))],
    starts_at,
    ends_at,
    external_ref: externalRef ?? null,
  }
}

async function requirePeople(db: Db, workspaceId: string, userIds: string[]): Promise<void> {
  const people = await db
    .selectFrom('person')
    .select('id')
    .where('workspace_id', '=', workspaceId)
    .where('id', 'in', userIds)
    .where('deactivated_at', 'is', null)
    .execute()
  if (people.length < userIds.length) throw notFound()
}

async function lockByReference(db: Db, workspaceId: string, reference: string | null) {
  if (reference === null) return undefined
  return db
    .selectFrom('access_grant')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where('external_ref', '=', reference)
    .forUpdate()
    .executeTakeFirst()
}

/** Where people may write only by a grant, whatever they add or change needs one that says so. */
export async function requireGrant(
  db: Db,
  actor: Actor,
  conversationId: string,
  scope: 'write' | 'attach',
): Promise<void> {
  const lacking = await db
    .selectFrom('conversation as c')
    .select('c.id')
    .where('c.workspace_id', '=', actor.workspaceId)
    .where('c.id', '=', conversationId)
    .where('c.grant_required', '=', true)
    .where(sql<boolean>`not is_granted(c.workspace_id, c.id, ${actor.userId}::uuid, ${scope})`)
    .executeTakeFirst()
  if (lacking) throw new Failure('grant_required')
}

/** Grants that are not over: mine, or for admins those of one person. */
export async function listGrants(
  chat: Chat,
  actor: Actor,
  { userId = actor.userId }: InputOf<'grant.list'>,
): Promise<ResultOf<'grant.list'>> {
  if (userId !== actor.userId && !isAdmin(actor)) throw new Failure('forbidden')
  const rows = await chat.db
    .selectFrom('access_grant')
    .selectAll()
    .where('workspace_id', '=', actor.workspaceId)
    .where((eb) => eb.or([eb('person_a', '=', userId), eb('person_b', '=', userId)]))
    .where('ended_at', 'is', null)
    .where((eb) => eb.or([eb('ends_at', 'is', null), eb('ends_at', '>', sql<string>`now()`)]))
    .orderBy('id')
    .execute()
  return { grants: rows.map(viewGrant) }
}

/** Ends a grant now; ending it twice is one end. */
export async function endGrant(chat: Chat, actor: Actor, { grantId }: InputOf<'grant.end'>): Promise<void> {
  await change(chat, async (change) => {
    const before = await change.db
      .selectFrom('access_grant')
      .selectAll()
      .where('workspace_id', '=', actor.workspaceId)
      .where('id', '=', grantId)
      .forUpdate()
      .executeTakeFirstOrThrow(notFound)
    await end(change, actor, before)
  })
}

/** The same by the reference of the booking or order it stands for; one that was never there has ended already. */
export async function endGrantByReference(chat: Chat, actor: Granter, reference: string): Promise<void> {
  await change(chat, async (change) => {
    const before = await lockByReference(change.db, actor.workspaceId, reference)
    if (before) await end(change, actor, before)
  })
}

async function end(change: Change, actor: Granter, before: GrantRow): Promise<void> {
  if (before.ended_at) return
  const after = await change.db
    .updateTable('access_grant')
    .set({ ended_at: sql`now()`, changed_xid: sql`pg_current_xact_id()` })
    .where('workspace_id', '=', actor.workspaceId)
    .where('id', '=', before.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  await note(change, actor, 'grant.end', before, after)
}

/** The grant that stands for a booking or order, over or not; null where there never was one. */
export async function findGrantByReference(
  { db }: Pick<Chat, 'db'>,
  workspaceId: string,
  reference: string,
): Promise<Grant | null> {
  const row = await db
    .selectFrom('access_grant')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where('external_ref', '=', reference)
    .executeTakeFirst()
  return row ? viewGrant(row) : null
}

/** Of the grant `a`: it has begun, and neither its time nor anybody has ended it. The store says so in `is_granted`. */
export const isCurrent = sql<boolean>`a.ended_at is null
  and coalesce(a.starts_at, '-infinity') <= now() and coalesce(a.ends_at, 'infinity') > now()`

/** Whether two people have a current grant that says so. */
export async function hasGrant(
  db: Db,
  actor: Actor,
  otherId: string,
  scope: 'write' | 'attach',
): Promise<boolean> {
  const { rows } = await sql<{ id: string }>`select a.id from access_grant a
    where a.workspace_id = ${actor.workspaceId}
      and a.person_a = least(${actor.userId}::uuid, ${otherId}::uuid)
      and a.person_b = greatest(${actor.userId}::uuid, ${otherId}::uuid)
      and ${scope} = any (a.scopes) and ${isCurrent} limit 1`.execute(db)
  return rows.length > 0
}

/** For the audit log, and for everybody whom the grant binds or bound. */
async function note(
  { db, announce }: Change,
  actor: Granter,
  action: string,
  before: GrantRow | undefined,
  after: GrantRow,
): Promise<void> {
  await audit(db, actor, {
    action,
    targetType: 'grant',
    targetId: after.id,
    before: before && viewGrant(before),
    after: viewGrant(after),
  })
  const people = [after, ...(before ? [before] : [])].flatMap((row) => [row.person_a, row.person_b])
  announce({ type: 'access', workspaceId: actor.workspaceId, userIds: [...new Set(people)] })
}

const viewGrant = (row: GrantRow): Grant => ({
  id: row.id,
  kind: row.kind,
  userIds: [row.person_a, row.person_b],
  scopes: row.scopes,
  startsAt: row.starts_at,
  endsAt: row.ends_at,
  endedAt: row.ended_at,
  externalRef: row.external_ref,
})
