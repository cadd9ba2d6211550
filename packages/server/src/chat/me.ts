import type { InputOf, ResultOf, User } from '@parley/protocol'
import { sql } from 'kysely'
import type { Actor } from './actor.ts'
import { audit } from './audit.ts'
import { type Chat, change } from './chat.ts'
import { Failure, notFound } from './failure.ts'
import { countGuess } from './guesses.ts'
import { checkPassword, hashPassword } from './passwords.ts'
import { personById } from './people.ts'
import { revokeSessions } from './sessions.ts'
import { viewUser } from './user-view.ts'
import { getWorkspace } from './workspaces.ts'

/** Who I am: in a widget a contact, whoever else I am at the desk. */
export async function getMe(chat: Chat, actor: Actor): Promise<ResultOf<'me.get'>> {
  const person = await personById(chat.db, actor.workspaceId, actor.userId)
  return {
    user: { ...viewUser(person), role: actor.role },
    workspace: await getWorkspace(chat, actor),
    inboxIds: [...actor.inboxIds],
  }
}

/** Changes my name or avatar. */
export async function updateMe(
  chat: Chat,
  actor: Actor,
  { name, avatarUrl }: InputOf<'me.update'>,
): Promise<User> {
  const person = await chat.db
    .updateTable('person')
    .set({ name, avatar_url: avatarUrl, changed_xid: sql`pg_current_xact_id()` })
    .where('workspace_id', '=', actor.workspaceId)
    .where('id', '=', actor.userId)
    .returningAll()
    .executeTakeFirstOrThrow(notFound)
  return { ...viewUser(person), role: actor.role }
}

/** Changes my password. Every other session of mine ends; of two changes at once, one no longer knows the current. */
export async function changePassword(
  chat: Chat,
  actor: Actor,
  { current, next }: InputOf<'me.password'>,
): Promise<void> {
  countGuess(chat, actor.address)
  const { password_hash: currentHash } = await personById(chat.db, actor.workspaceId, actor.userId)
  if (!(await checkPassword(currentHash, current))) throw new Failure('invalid_credentials')
  const nextHash = await hashPassword(next)
  await change(chat, async (change) => {
    await change.db
      .updateTable('person')
      .set({ password_hash: nextHash, changed_xid: sql`pg_current_xact_id()` })
      .where('workspace_id', '=', actor.workspaceId)
      .where('id', '=', actor.userId)
      .where('password_hash', '=', currentHash)
      .returning('id')
      .executeTakeFirstOrThrow(() => new Failure('invalid_credentials'))
    await revokeSessions(change, actor.workspaceId, actor.userId, { but: actor.sessionId })
    await audit(change.db, actor, { action: 'me.password', targetType: 'user', targetId: actor.userId })
  })
}
