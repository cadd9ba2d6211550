import { randomUUIDv7 } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { InputOf, ResultOf, User } from '@parley/protocol'
import { type ExpressionBuilder, sql } from 'kysely'
import type { Db, Tables } from '../store/store.ts'
import { type Actor, isAdmin } from './actor.ts'
import { audit } from './audit.ts'
import { type Chat, change } from './chat.ts'
import { refusingDuplicates } from './conflicts.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { Failure, notFound } from './failure.ts'
import { lockExternalId } from './identities.ts'
import { metadataText } from './metadata.ts'
import { containing } from './patterns.ts'
import { type PersonRow, viewUser } from './user-view.ts'

/** Makes a contact, or finds the one with this external id, as it is. */
export async function createContact(
  chat: Chat,
  actor: Pick<Actor, 'workspaceId'>,
  { name, email, externalId, metadata }: InputOf<'contact.create'>,
): Promise<User> {
  const written = metadata && metadataText(metadata)
  return change(chat, async ({ db }) => {
    if (externalId !== undefined) {
      await lockExternalId(db, actor.workspaceId, externalId)
      const known = await findHolder(db, actor, externalId)
      if (known) return viewUser(known)
    }
    const person = await db
      .insertInto('person')
      .values({
        workspace_id: actor.workspaceId,
        id: randomUUIDv7(),
        role: 'contact',
        name,
        email: email ?? null,
        external_id: externalId ?? null,
        metadata: written,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    return viewUser(person)
  })
}

/** The id may be that of somebody of the team, who is no contact. */
async function findHolder(
  db: Db,
  actor: Pick<Actor, 'workspaceId'>,
  externalId: string,
): Promise<PersonRow | undefined> {
  const holder = await db
    .selectFrom('person')
    .selectAll()
    .where('workspace_id', '=', actor.workspaceId)
    .where('external_id', '=', externalId)
    .executeTakeFirst()
  if (holder && holder.role !== 'contact') throw new Failure('already_exists', { field: 'externalId' })
  return holder
}

/** Contacts by name, in pages; with `q`, those whose name or e-mail contains it. */
export async function listContacts(
  chat: Chat,
  actor: Actor,
  { limit = 50, page, q }: InputOf<'contact.list'>,
): Promise<ResultOf<'contact.list'>> {
  const last = page === undefined ? undefined : await lastOfPage(chat.db, actor, page)
  const rows = await chat.db
    .selectFrom('person')
    .selectAll()
    .where('workspace_id', '=', actor.workspaceId)
    .where('role', '=', 'contact')
    .$if(last !== undefined, (query) =>
      query.where(sql<boolean>`(name, id) > (${last?.name}, ${last?.id}::uuid)`),
    )
    .$if(q !== undefined, (query) => query.where(contains(q ?? '')))
    .orderBy('name')
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  const shown = rows.slice(0, limit)
  const next = rows.length > limit ? shown.at(-1) : undefined
  return { contacts: shown.map(viewUser), nextPage: next ? encodeCursor([next.id]) : null }
}

/** A page ends with somebody; whoever is asked for next stands behind them, whatever they are called by now. */
async function lastOfPage(db: Db, actor: Actor, page: string): Promise<Pick<PersonRow, 'id' | 'name'>> {
  const [id] = decodeCursor(page, ['id'])
  return db
    .selectFrom('person')
    .select(['id', 'name'])
    .where('workspace_id', '=', actor.workspaceId)
    .where(sql<boolean>`id::text = ${id}`)
    .executeTakeFirstOrThrow(() => new Failure('invalid_cursor'))
}

const contains = (q: string) => (eb: ExpressionBuilder<Tables, 'person'>) => {
  const pattern = containing(q)
  return eb.or([eb('name', 'ilike', pattern), eb('email', 'ilike', pattern)])
}

/** Changes what is known of a contact. Metadata merges; null removes a key. */
export async function updateContact(
  chat: Chat,
  actor: Actor,
  { userId, name, email, metadata }: InputOf<'contact.update'>,
): Promise<User> {
  return refusingDuplicates(() =>
    change(chat, async ({ db }) => {
      const contact = await lockContact(db, actor, userId)
      if (email !== undefined && email !== contact.email) requireMayMove(actor, contact)
      const person = await db
        .updateTable('person')
        .set({
          name,
          email,
          metadata: metadata && metadataText(merged(contact.metadata, metadata)),
          changed_xid: sql`pg_current_xact_id()`,
        })
        .where('workspace_id', '=', actor.workspaceId)
        .where('id', '=', userId)
        .returningAll()
        .executeTakeFirstOrThrow()
      const fields = known.filter((field) => !isDeepStrictEqual(contact[field], person[field]))
      if (fields.length > 0) {
        await audit(db, actor, {
          action: 'contact.update',
          targetType: 'user',
          targetId: userId,
          before: pick(contact, fields),
          after: pick(person, fields),
        })
      }
      return viewUser(person)
    }),
  )
}

/** An e-mail beside a password is half of a sign-in, and whoever holds it is believed to be its owner. */
function requireMayMove(actor: Actor, contact: PersonRow): void {
  if (contact.password_hash === null || isAdmin(actor)) return
  throw new Failure('forbidden', {
    field: 'email',
    required: 'admin',
    message: 'This contact signs in with this e-mail; ask an admin or owner to change it.',
  })
}

const known = ['name', 'email', 'metadata'] as const
const pick = (person: PersonRow, fields: readonly (typeof known)[number][]) =>
  Object.fromEntries(fields.map((field) => [field, person[field]]))

async function lockContact(db: Db, actor: Actor, userId: string): Promise<PersonRow> {
  return db
    .selectFrom('person')
    .selectAll()
    .where('workspace_id', '=', actor.workspaceId)
    .where('id', '=', userId)
    .where('role', '=', 'contact')
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow(notFound)
}

const merged = (old: Record<string, unknown>, given: Record<string, unknown>) =>
  Object.fromEntries(Object.entries({ ...old, ...given }).filter(([, value]) => value !== null))
