import { byteLength, type InputOf, limits, type Message } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { requireWritable } from './access.ts'
import type { Actor } from './actor.ts'
import { audit } from './audit.ts'
import { type Chat, change } from './chat.ts'
import { removeFilesOf } from './erasure.ts'
import { Failure, invalid, notFound } from './failure.ts'
import { requireGrant } from './grants.ts'
import { findMessage } from './history.ts'
import { record } from './log.ts'
import { type MessageRow, viewMessage } from './message-view.ts'

/** Changes the text of the actor's own message. The earlier text is kept for the team. */
export async function editMessage(
  chat: Chat,
  actor: Actor,
  { messageId, body }: InputOf<'message.edit'>,
): Promise<Message> {
  if (byteLength(body) > limits.messageBytes)
    throw invalid('body', `At most ${limits.messageBytes} bytes of text`)
  return change(chat, async (change) => {
    const { row, standing } = await findMessage(change.db, actor, messageId, { lock: true })
    if (row.sender_id !== actor.userId) throw new Failure('forbidden')
    if (row.retracted_at || row.kind === 'system') throw new Failure('wrong_state')
    requireWritable(standing)
    if (row.body === body) return viewMessage(change.db, row)
    if (row.visibility === 'everyone') await requireGrant(change.db, actor, row.conversation_id, 'write')
    await keepRevision(change.db, row, actor)
    const { at } = await record(
      change,
      { workspaceId: actor.workspaceId, id: row.conversation_id },
      { type: 'message.edited', actorId: actor.userId, visibility: row.visibility, messageId, body },
    )
    await update(change.db, row, { body, edited_at: at })
    return reload(change.db, row)
  })
}

/**
 * Empties a message: one's own, or any for the team, which may do so in an archived conversation too. Earlier texts and files
 * go with it; its place in the numbering stays.
 */
export async function retractMessage(
  chat: Chat,
  actor: Actor,
  { messageId }: InputOf<'message.retract'>,
): Promise<Message> {
  return change(chat, async (change) => {
    const { row, standing } = await findMessage(change.db, actor, messageId, { lock: true })
    if (row.sender_id !== actor.userId && !standing.staff) throw new Failure('forbidden')
    if (row.retracted_at) return viewMessage(change.db, row)
    if (row.sender_id === actor.userId) requireWritable(standing)
    await change.db
      .updateTable('message_revision')
      .set({ body: '' })
      .where('workspace_id', '=', row.workspace_id)
      .where('conversation_id', '=', row.conversation_id)
      .where('seq', '=', row.seq)
      .execute()
    const { at } = await record(
      change,
      { workspaceId: actor.workspaceId, id: row.conversation_id },
      { type: 'message.retracted', actorId: actor.userId, visibility: row.visibility, messageId },
    )
    await update(change.db, row, { body: '', metadata: null, retracted_at: at })
    await removeFilesOf(change.db, row.workspace_id, row.id)
    if (row.sender_id !== actor.userId) await auditRetraction(change.db, actor, row)
    return reload(change.db, row)
  })
}

/** Says whose message it was and where it stood, not what was in it: that is gone for everybody. */
async function auditRetraction(db: Db, actor: Actor, row: MessageRow): Promise<void> {
  await audit(db, actor, {
    action: 'message.retract',
    targetType: 'message',
    targetId: row.id,
    before: { conversationId: row.conversation_id, seq: row.seq, senderId: row.sender_id, retracted: false },
    after: { retracted: true },
  })
}

/** Adds the actor's reaction, or takes it back. Twice is once. */
export async function setReaction(
  chat: Chat,
  actor: Actor,
  { messageId, emoji, removed }: InputOf<'message.react'> & { removed: boolean },
): Promise<Message> {
  return change(chat, async (change) => {
    const { row, standing } = await findMessage(change.db, actor, messageId, { lock: true })
    if (row.retracted_at) throw notFound()
    requireWritable(standing)
    if (!removed && row.visibility === 'everyone') {
      await requireGrant(change.db, actor, row.conversation_id, 'write')
    }
    const changed = removed
      ? await takeBack(change.db, row, actor, emoji)
      : await react(change.db, row, actor, emoji)
    if (changed) {
      await record(
        change,
        { workspaceId: actor.workspaceId, id: row.conversation_id },
        {
          type: 'message.reacted',
          actorId: actor.userId,
          visibility: row.visibility,
          messageId,
          userId: actor.userId,
          emoji,
          removed,
        },
      )
    }
    return viewMessage(change.db, row)
  })
}

async function takeBack(db: Db, row: MessageRow, actor: Actor, emoji: string): Promise<boolean> {
  const gone = await db
    .deleteFrom('reaction')
    .where('workspace_id', '=', row.workspace_id)
    .where('conversation_id', '=', row.conversation_id)
    .where('seq', '=', row.seq)
    .where('person_id', '=', actor.userId)
    .where('emoji', '=', emoji)
    .returning('seq')
    .executeTakeFirst()
  return gone !== undefined
}

async function react(db: Db, row: MessageRow, actor: Actor, emoji: string): Promise<boolean> {
  const added = await db
    .insertInto('reaction')
    .values({
      workspace_id: row.workspace_id,
      conversation_id: row.conversation_id,
      seq: row.seq,
      person_id: actor.userId,
      emoji,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('seq')
    .executeTakeFirst()
  if (!added) return false
  const { mine } = await db
    .selectFrom('reaction')
    .select(sql<number>`count(*)::int`.as('mine'))
    .where('workspace_id', '=', row.workspace_id)
    .where('conversation_id', '=', row.conversation_id)
    .where('seq', '=', row.seq)
    .where('person_id', '=', actor.userId)
    .executeTakeFirstOrThrow()
  const limit = limits.reactionsPerPerson
  if (mine > limit) throw new Failure('too_many_reactions', { limit })
  return true
}

async function keepRevision(db: Db, row: MessageRow, actor: Actor): Promise<void> {
  await sql`insert into message_revision (workspace_id, conversation_id, seq, revision, body, actor_id)
    select ${row.workspace_id}, ${row.conversation_id}, ${row.seq}, count(*) + 1, ${row.body}, ${actor.userId}
    from message_revision
    where workspace_id = ${row.workspace_id} and conversation_id = ${row.conversation_id} and seq = ${row.seq}`.execute(
    db,
  )
}

async function update(
  db: Db,
  row: MessageRow,
  values: { body: string; metadata?: null; edited_at?: string; retracted_at?: string },
): Promise<void> {
  await db
    .updateTable('message')
    .set(values)
    .where('workspace_id', '=', row.workspace_id)
    .where('conversation_id', '=', row.conversation_id)
    .where('seq', '=', row.seq)
    .execute()
}

async function reload(db: Db, row: MessageRow): Promise<Message> {
  const now = await db
    .selectFrom('message')
    .selectAll()
    .where('workspace_id', '=', row.workspace_id)
    .where('conversation_id', '=', row.conversation_id)
    .where('seq', '=', row.seq)
    .executeTakeFirstOrThrow()
  return viewMessage(db, now)
}
