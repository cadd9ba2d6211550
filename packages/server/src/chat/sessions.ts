import { randomBytes, randomUUIDv7 } from 'node:crypto'
import type { InputOf, Role, Tokens } from '@parley/protocol'
import { sql } from 'kysely'
import { answersOf, asked, gathered } from '../store/gathered.ts'
import type { Db } from '../store/store.ts'
import { type AccessClaims, readAccessToken, signAccessToken } from './access-tokens.ts'
import type { Actor } from './actor.ts'
import { actorOfKey, isApiKey } from './api-key-access.ts'
import { type Change, type Chat, change } from './chat.ts'
import { Failure } from './failure.ts'
import { recentActors } from './recent-actors.ts'
import { hashToken } from './tokens.ts'
import type { PersonRow } from './user-view.ts'

/** Where a request without an actor comes from. */
export type Caller = { address: string | null; origin: string | null; registrationSecret?: string | null }

/**
 * Who stands behind an access token or an API key, at most two seconds old (promise G20). Every door asks this first;
 * a live connection asks again when it hears that access changed.
 */
export async function authenticate(
  chat: Chat,
  token: string,
  caller: Caller,
  options: { established?: boolean } = {},
): Promise<Actor> {
  const actor = isApiKey(token)
    ? await actorOfKey(chat, token)
    : await actorOfSession(chat, await readAccessToken(chat, token, options))
  return { ...actor, address: caller.address }
}

/** Looks again at these people, whatever was found a moment ago. Called when a node hears an `access` announcement. */
export function forget(chat: Chat, userIds: readonly string[]): void {
  recentActors(chat).forget(userIds)
}

/** Who stands behind the claims of a token whose signature the caller has checked, if the session still stands. */
export function actorOfSession(chat: Chat, claims: AccessClaims): Promise<Actor> {
  const key = `session ${claims.sessionId} ${claims.userId} ${claims.sessionVersion}`
  return recentActors(chat).find(key, () => loadActor(chat.db, claims))
}

type SessionRow = {
  name: string
  role: Role
  verified: boolean
  kind: 'password' | 'visitor'
  inbox_id: string | null
  identity_required: boolean | null
  inbox_ids: string[]
}

async function loadActor(db: Db, claims: AccessClaims): Promise<Actor> {
  const row = await standingSession(db, claims)
  if (!row || (row.identity_required && !row.verified)) throw new Failure('unauthenticated')
  // In a widget everybody is a visitor: whoever works here signs in at the desk to do so.
  const isVisitor = row.kind === 'visitor'
  return {
    workspaceId: claims.workspaceId,
    userId: claims.userId,
    name: row.name,
    role: isVisitor ? 'contact' : row.role,
    sessionId: claims.sessionId,
    inboxIds: isVisitor ? [] : row.inbox_ids,
    visitorInboxId: row.inbox_id,
    verified: row.verified,
    address: null,
  }
}

const standingSession = gathered(async (db, sessions: readonly AccessClaims[]) => {
  const { rows } = await sql<SessionRow & { place: number }>`/* actor_of_session */
    select q.place::int, p.name, p.role, p.verified, s.kind, s.inbox_id, i.identity_required,
      array(select m.inbox_id from inbox_member m where m.workspace_id = p.workspace_id and m.person_id = p.id) as inbox_ids
    from ${asked(sessions, {
      workspace_id: ['uuid', ({ workspaceId }) => workspaceId],
      id: ['uuid', ({ sessionId }) => sessionId],
      person_id: ['uuid', ({ userId }) => userId],
      session_version: ['int', ({ sessionVersion }) => sessionVersion],
    })}
    cross join lateral (
      select s.kind, s.inbox_id from session s
      where s.workspace_id = q.workspace_id and s.id between q.id and q.id and s.person_id = q.person_id
        and s.revoked_at is null and s.expires_at > now()
      order by s.id limit 1) s
    cross join lateral (
      select p.workspace_id, p.id, p.name, p.role, p.verified from person p
      where p.workspace_id = q.workspace_id and p.id between q.person_id and q.person_id
        and p.deactivated_at is null and p.session_version = q.session_version
      order by p.id limit 1) p
    left join inbox i on i.workspace_id = q.workspace_id and i.id = s.inbox_id`.execute(db)
  return answersOf(sessions.length, rows).map(([row]) => row)
})

/** Signs somebody in: a session of thirty days, longer with each refresh. With an inbox, as a visitor of it. */
export async function openSession(
  chat: Chat,
  db: Db,
  person: PersonRow,
  { inboxId = null }: { inboxId?: string | null } = {},
): Promise<Tokens> {
  const { sessionId } = await beginSession(db, person, { inboxId })
  return issueTokens(chat, db, person, sessionId)
}

/** The session alone, for a door that signs tokens of its own over it. */
export async function beginSession(
  db: Db,
  person: PersonRow,
  { inboxId = null }: { inboxId?: string | null } = {},
): Promise<AccessClaims> {
  const sessionId = randomUUIDv7()
  await db
    .insertInto('session')
    .values({
      workspace_id: person.workspace_id,
      id: sessionId,
      person_id: person.id,
      kind: inboxId ? 'visitor' : 'password',
      inbox_id: inboxId,
      expires_at: refreshExpiry,
    })
    .execute()
  return {
    workspaceId: person.workspace_id,
    userId: person.id,
    sessionId,
    sessionVersion: person.session_version,
  }
}

const refreshExpiry = sql<string>`now() + interval '30 days'`

async function issueTokens(chat: Chat, db: Db, person: Holder, sessionId: string): Promise<Tokens> {
  const refreshToken = makeRefreshToken(person.workspace_id)
  await keepRefreshToken(db, { workspaceId: person.workspace_id, sessionId }, refreshToken)
  const { accessToken, expiresAt } = await signAccessToken(chat, db, {
    workspaceId: person.workspace_id,
    userId: person.id,
    sessionId,
    sessionVersion: person.session_version,
  })
  return { accessToken, expiresAt, refreshToken }
}

/**
 * Swaps a refresh token for a new pair. Each is good once: of two who come with the same one, the second is taken for
 * a thief or robbed by one, and the session ends for both.
 */
export async function refreshSession(
  chat: Chat,
  _caller: Caller,
  { refreshToken }: InputOf<'auth.refresh'>,
): Promise<Tokens> {
  const workspaceId = workspaceOf(refreshToken)
  if (!workspaceId) throw new Failure('unauthenticated')
  return exchangeRefreshToken(chat, workspaceId, refreshToken, (db, person, sessionId) =>
    issueTokens(chat, db, person, sessionId),
  )
}

type Holder = Pick<PersonRow, 'workspace_id' | 'id' | 'session_version'>

/** The rule of `refreshSession`, for a door whose tokens look different: `issue` writes the new ones in the same transaction. */
export async function exchangeRefreshToken<T extends object>(
  chat: Chat,
  workspaceId: string,
  refreshToken: string,
  issue: (db: Db, person: Holder, sessionId: string) => Promise<T>,
): Promise<T> {
  const outcome = await change(chat, async (change): Promise<T | 'reused' | 'unknown'> => {
    const token = { workspaceId, hash: hashToken(refreshToken) }
    const sessionId = await spend(change.db, token)
    if (!sessionId) return (await endReused(change, token)) ? 'reused' : 'unknown'
    const person = await prolong(change.db, workspaceId, sessionId)
    return person ? issue(change.db, person, sessionId) : 'unknown'
  })
  if (outcome === 'reused') throw new Failure('refresh_reused')
  if (outcome === 'unknown') throw new Failure('unauthenticated')
  return outcome
}

/** Remembers a refresh token of a session, to be exchanged once. What is kept is only its hash. */
export async function keepRefreshToken(
  db: Db,
  { workspaceId, sessionId }: Pick<AccessClaims, 'workspaceId' | 'sessionId'>,
  refreshToken: string,
): Promise<void> {
  await db
    .insertInto('refresh_token')
    .values({
      workspace_id: workspaceId,
      token_hash: hashToken(refreshToken),
      session_id: sessionId,
      expires_at: refreshExpiry,
    })
    .execute()
}

/** The workspace stands in the token, so that it is found by the table's own key. */
const makeRefreshToken = (workspaceId: string) =>
  Buffer.concat([Buffer.from(workspaceId.replaceAll('-', ''), 'hex'), randomBytes(32)]).toString('base64url')

function workspaceOf(refreshToken: string): string | null {
  const bytes = Buffer.from(refreshToken, 'base64url')
  if (bytes.length !== 48) return null
  return bytes.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

type StoredToken = { workspaceId: string; hash: Buffer }

/** Of two at once, the second waits for the first to commit and then finds the token used. */
async function spend(db: Db, { workspaceId, hash }: StoredToken): Promise<string | undefined> {
  const spent = await db
    .updateTable('refresh_token')
    .set({ used_at: sql`now()` })
    .where('workspace_id', '=', workspaceId)
    .where('token_hash', '=', hash)
    .where('used_at', 'is', null)
    .where('expires_at', '>', sql<string>`now()`)
    .returning('session_id')
    .executeTakeFirst()
  return spent?.session_id
}

async function endReused(change: Change, { workspaceId, hash }: StoredToken): Promise<boolean> {
  const used = await change.db
    .selectFrom('refresh_token as t')
    .innerJoin('session as s', (join) =>
      join.onRef('s.workspace_id', '=', 't.workspace_id').onRef('s.id', '=', 't.session_id'),
    )
    .select(['s.id', 's.person_id'])
    .where('t.workspace_id', '=', workspaceId)
    .where('t.token_hash', '=', hash)
    .where('t.used_at', 'is not', null)
    .executeTakeFirst()
  if (!used) return false
  await revokeSessions(change, workspaceId, used.person_id, { only: used.id })
  return true
}

/** Keeps a session that still stands for another thirty days, and clears its forgotten tokens away. */
async function prolong(db: Db, workspaceId: string, sessionId: string) {
  const person = await db
    .updateTable('session as s')
    .from('person as p')
    .set({ expires_at: refreshExpiry })
    .where('s.workspace_id', '=', workspaceId)
    .where('s.id', '=', sessionId)
    .where('s.revoked_at', 'is', null)
    .where('s.expires_at', '>', sql<string>`now()`)
    .whereRef('p.workspace_id', '=', 's.workspace_id')
    .whereRef('p.id', '=', 's.person_id')
    .where('p.deactivated_at', 'is', null)
    .returning(['p.workspace_id', 'p.id', 'p.session_version'])
    .executeTakeFirst()
  await db
    .deleteFrom('refresh_token')
    .where('workspace_id', '=', workspaceId)
    .where('session_id', '=', sessionId)
    .where('expires_at', '<', sql<string>`now()`)
    .execute()
  return person
}

/** Ends this session, or all of mine. A key has no session to end; `everywhere` still ends those of its person. */
export async function logout(
  chat: Chat,
  actor: Actor,
  { everywhere = false }: InputOf<'auth.logout'>,
): Promise<void> {
  await change(chat, async (change) => {
    if (everywhere) await revokeSessions(change, actor.workspaceId, actor.userId)
    else if (actor.sessionId) {
      await revokeSessions(change, actor.workspaceId, actor.userId, { only: actor.sessionId })
    }
  })
}

/** Ends sessions of somebody: all, all but one, or only one. Every node hears of it when the change commits. */
export async function revokeSessions(
  change: Change,
  workspaceId: string,
  userId: string,
  { but = null, only = null }: { but?: string | null; only?: string | null } = {},
): Promise<void> {
  await change.db
    .updateTable('session')
    .set({ revoked_at: sql`now()`, changed_xid: sql`pg_current_xact_id()` })
    .where('workspace_id', '=', workspaceId)
    .where('person_id', '=', userId)
    .where('revoked_at', 'is', null)
    .$if(but !== null, (query) => query.where('id', '<>', but))
    .$if(only !== null, (query) => query.where('id', '=', only))
    .execute()
  change.announce({ type: 'access', workspaceId, userIds: [userId] })
}
