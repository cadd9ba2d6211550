import { randomUUIDv7 } from 'node:crypto'
import type { Actor } from './actor.ts'
import { type Chat, change } from './chat.ts'
import { lockExternalId } from './identities.ts'

/** A program of ours that speaks in conversations, made when it is first needed. */
export async function ensureBot(
  chat: Chat,
  workspaceId: string,
  { externalId, name }: { externalId: string; name: string },
): Promise<Actor> {
  const select = (db = chat.db) =>
    db
      .selectFrom('person')
      .select(['id', 'name'])
      .where('workspace_id', '=', workspaceId)
      .where('external_id', '=', externalId)
      .where('role', '=', 'bot')
      .executeTakeFirst()
  const bot =
    (await select()) ??
    (await change(chat, async ({ db }) => {
      await lockExternalId(db, workspaceId, externalId)
      return (
        (await select(db)) ??
        (await db
          .insertInto('person')
          .values({
            workspace_id: workspaceId,
            id: randomUUIDv7(),
            role: 'bot',
            name,
            external_id: externalId,
            verified: true,
          })
          .returning(['id', 'name'])
          .executeTakeFirstOrThrow())
      )
    }))
  return {
    workspaceId,
    userId: bot.id,
    name: bot.name,
    role: 'bot',
    sessionId: null,
    inboxIds: [],
    visitorInboxId: null,
    verified: true,
    address: null,
  }
}
