import { sql } from 'kysely'
import type { Actor } from './actor.ts'
import type { Change } from './chat.ts'
import { recordInEach } from './log.ts'

/**
 * Gives what somebody has been assigned back to the inboxes it came to, so that whoever looks for work finds it: all of it,
 * or only this conversation or what is in this inbox. What is closed keeps the name of who answered; opened again, it is
 * given back if they no longer work there (`reopenConversation`).
 *
 * Called after the holder's row, if anything of it changes, has been written: whoever assigns to them waits for that, and
 * finds them gone (`requireAssignable`).
 */
export async function handBack(
  change: Change,
  actor: Pick<Actor, 'workspaceId'> & { userId: string | null },
  holderId: string,
  where: { conversationId?: string; inboxId?: string } = {},
): Promise<void> {
  const held = await lockHeld(change, actor.workspaceId, holderId, where)
  const assigned = held.filter(({ status }) => status === 'assigned').map(({ id }) => id)
  const others = held.filter(({ status }) => status !== 'assigned').map(({ id }) => id)
  await change.db
    .updateTable('conversation')
    .set({
      assignee_id: null,
      status: sql<'open'>`case status when 'assigned' then 'open' else status end`,
    })
    .where('workspace_id', '=', actor.workspaceId)
    .where(sql<boolean>`id = any (${held.map(({ id }) => id)}::uuid[])`)
    .execute()
  const tell = (conversationIds: string[], changes: { assigneeId: null; status?: 'open' }) =>
    recordInEach(change, actor.workspaceId, conversationIds, {
      type: 'conversation.updated',
      actorId: actor.userId,
      changes,
    })
  await tell(assigned, { assigneeId: null, status: 'open' })
  await tell(others, { assigneeId: null })
}

/** In the order in which every batch of sends locks. */
async function lockHeld(
  { db }: Change,
  workspaceId: string,
  holderId: string,
  { conversationId, inboxId }: { conversationId?: string; inboxId?: string },
) {
  return db
    .selectFrom('conversation')
    .select(['id', 'status'])
    .where('workspace_id', '=', workspaceId)
    .where('assignee_id', '=', holderId)
    .where('deleted_at', 'is', null)
    .where('status', 'not in', ['closed', 'archived'])
    .$if(conversationId !== undefined, (query) => query.where('id', '=', conversationId ?? ''))
    .$if(inboxId !== undefined, (query) => query.where('inbox_id', '=', inboxId ?? ''))
    .orderBy('id')
    .forNoKeyUpdate()
    .execute()
}
