import type { InputOf, Session } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { type Chat, change } from './chat.ts'
import { Failure } from './failure.ts'
import { countGuess } from './guesses.ts'
import { meetHolder } from './identities.ts'
import { requireInbox } from './inboxes.ts'
import { checkPassword } from './passwords.ts'
import { type Caller, openSession } from './sessions.ts'
import { type PersonRow, viewUser } from './user-view.ts'
import { findWorkspace, viewWorkspace } from './workspaces.ts'

/** Signs in with e-mail and password. */
export async function login(
  chat: Chat,
  caller: Caller,
  { email, password, workspace: slug }: InputOf<'auth.login'>,
): Promise<Session> {
  const workspace = await findWorkspace(chat.db, slug)
  const person = await checkCredentials(chat, caller, workspace.id, { email }, password)
  const tokens = await change(chat, async ({ db }) => {
    await requireUnchanged(db, person)
    return openSession(chat, db, person)
  })
  return { user: viewUser(person), workspace: viewWorkspace(chat, workspace), tokens }
}

/** Swaps a token that another service signed for a session of our own; with an inbox, as its visitor. */
export async function exchangeToken(
  chat: Chat,
  _caller: Caller,
  { token, workspace: slug, inboxId }: InputOf<'auth.exchange'>,
): Promise<Session> {
  const workspace = await findWorkspace(chat.db, slug)
  if (inboxId) await requireInbox(chat.db, workspace.id, inboxId)
  const person = await meetHolder(chat, workspace.id, token, inboxId ? { inboxId } : 'session')
  const tokens = await change(chat, ({ db }) => openSession(chat, db, person, { inboxId }))
  const user = { ...viewUser(person), ...(inboxId && { role: 'contact' as const }) }
  return { user, workspace: viewWorkspace(chat, workspace), tokens }
}

/**
 * The person with this e-mail (or username, at some doors) and password. The same answer, after the same work, for
 * whoever does not exist, has no password, was switched off, or mistyped.
 */
export async function checkCredentials(
  chat: Chat,
  caller: Caller,
  workspaceId: string,
  who: { email: string } | { username: string },
  password: string,
): Promise<PersonRow> {
  countGuess(chat, caller.address)
  const person = await chat.db
    .selectFrom('person')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where('password_hash', 'is not', null)
    .where('deactivated_at', 'is', null)
    .where(
      'email' in who
        ? sql<boolean>`lower(email) = lower(${who.email}) and email is not null`
        : sql<boolean>`username = ${who.username}`,
    )
    .executeTakeFirst()
  const isRight = await checkPassword(person?.password_hash ?? null, password)
  if (!person || !isRight) throw new Failure('invalid_credentials')
  return person
}

/** A password that was changed while it was being checked opens nothing. */
export async function requireUnchanged(db: Db, person: PersonRow): Promise<void> {
  await db
    .selectFrom('person')
    .select('id')
    .where('workspace_id', '=', person.workspace_id)
    .where('id', '=', person.id)
    .where('password_hash', '=', person.password_hash)
    .where('deactivated_at', 'is', null)
    .forShare()
    .executeTakeFirstOrThrow(() => new Failure('invalid_credentials'))
}
