import type { InputOf } from '@parley/protocol'
import { standingOf } from './access.ts'
import type { Actor } from './actor.ts'
import type { Chat } from './chat.ts'
import { requireGrant } from './grants.ts'

/** Tells who follows a conversation that the actor is typing, or has stopped. Nothing is stored. */
export async function setTyping(
  chat: Chat,
  actor: Actor,
  { conversationId, typing }: InputOf<'typing.set'>,
): Promise<void> {
  const { conversation, staff } = await standingOf(chat.db, actor, conversationId)
  if (!staff && conversation.grant_required) await requireGrant(chat.db, actor, conversationId, 'write')
  chat.announce({
    type: 'typing',
    workspaceId: actor.workspaceId,
    conversationId,
    inboxId: conversation.inbox_id,
    userId: actor.userId,
    name: actor.name,
    typing,
  })
}
