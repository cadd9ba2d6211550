import { randomBytes, randomUUIDv7 } from 'node:crypto'
import type { InputOf, Session } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { audit } from './audit.ts'
import { type Chat, change } from './chat.ts'
import { refusingDuplicates } from './conflicts.ts'
import { Failure } from './failure.ts'
import { hashPassword } from './passwords.ts'
import { type Caller, openSession } from './sessions.ts'
import { ensureTokenSecret } from './token-secret.ts'
import { hashToken, makeToken } from './tokens.ts'
import { viewUser } from './user-view.ts'
import { findWorkspace, viewWorkspace } from './workspaces.ts'

const setupKey = 'setup_token'

/**
 * Makes the first workspace, and while it has no owner a token to become one: new at each start, so that an old
 * printout is worth nothing.
 */
export async function ensureFirstStart(
  chat: Chat,
): Promise<{ workspaceId: string; setupToken: string | null }> {
  await ensureTokenSecret(chat.db)
  return change(chat, async ({ db }) => {
    await sql`insert into workspace (id, slug, name) select ${randomUUIDv7()}::uuid, 'main', 'Parley'
      where not exists (select 1 from workspace) on conflict do nothing`.execute(db)
    const { id: workspaceId } = await findWorkspace(db)
    await ensureInbox(db, workspaceId)
    if (await hasOwner(db, workspaceId)) return { workspaceId, setupToken: null }
    const setupToken = makeToken()
    const value = hashToken(setupToken).toString('base64url')
    await db
      .insertInto('server_meta')
      .values({ key: setupKey, value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute()
    return { workspaceId, setupToken }
  })
}

/** A workspace begins with one inbox, so that a widget can be tried before anything is set up. */
async function ensureInbox(db: Db, workspaceId: string): Promise<void> {
  await sql`insert into inbox (workspace_id, id, name, widget_key, greeting)
    select ${workspaceId}::uuid, ${randomUUIDv7()}::uuid, 'Support', ${randomBytes(16).toString('base64url')},
      'Hello! How can we help?'
    where not exists (select 1 from inbox where workspace_id = ${workspaceId}::uuid)`.execute(db)
}

/** Makes the first owner. Never "first to register wins": whoever claims holds the token that the server printed. */
export async function claimSetup(
  chat: Chat,
  caller: Caller,
  { setupToken, workspaceName, name, email, password }: InputOf<'setup.claim'>,
): Promise<Session> {
  const passwordHash = await hashPassword(password)
  return refusingDuplicates(() =>
    change(chat, async ({ db }) => {
      const { id: workspaceId } = await findWorkspace(db)
      await spend(db, workspaceId, setupToken)
      const workspace = await db
        .updateTable('workspace')
        .set({ name: workspaceName })
        .where('id', '=', workspaceId)
        .returningAll()
        .executeTakeFirstOrThrow()
      const owner = await db
        .insertInto('person')
        .values({
          workspace_id: workspaceId,
          id: randomUUIDv7(),
          role: 'owner',
          name,
          email,
          password_hash: passwordHash,
          verified: true,
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      await audit(
        db,
        { workspaceId, userId: owner.id, address: caller.address },
        { action: 'setup.claim', targetType: 'user', targetId: owner.id, after: { role: 'owner' } },
      )
      const tokens = await openSession(chat, db, owner)
      return { user: viewUser(owner), workspace: viewWorkspace(chat, workspace), tokens }
    }),
  )
}

/** Of two who claim at once, the second waits here and then finds the token gone and an owner in place. */
async function spend(db: Db, workspaceId: string, setupToken: string): Promise<void> {
  const spent = await db
    .deleteFrom('server_meta')
    .where('key', '=', setupKey)
    .where('value', '=', hashToken(setupToken).toString('base64url'))
    .returning('key')
    .executeTakeFirst()
  if (await hasOwner(db, workspaceId)) throw new Failure('setup_done')
  if (!spent) throw new Failure('forbidden')
}

/** Whether the server has its first owner. Strangers may know this and no more of it. */
export async function isClaimed({ db }: Chat): Promise<boolean> {
  const { id } = await findWorkspace(db)
  return hasOwner(db, id)
}

async function hasOwner(db: Db, workspaceId: string): Promise<boolean> {
  const owner = await db
    .selectFrom('person')
    .select('id')
    .where('workspace_id', '=', workspaceId)
    .where('role', '=', 'owner')
    .where('deactivated_at', 'is', null)
    .limit(1)
    .executeTakeFirst()
  return owner !== undefined
}
