import { hash, randomUUIDv7 } from 'node:crypto'
import { type InputOf, limits, type Message, type MessageKind, type Visibility } from '@parley/protocol'
import { standingOf } from './access.ts'
import { type Actor, isStaff, participantRoleOf } from './actor.ts'
import { attachmentsOf, attachmentView } from './attachments.ts'
import type { Chat } from './chat.ts'
import { reopenForMessage } from './conversation-states.ts'
import { Failure, invalid, notFound } from './failure.ts'
import type { Draft, Outcome, WrittenDraft } from './message-batch.ts'
import { viewMessage } from './message-view.ts'
import { metadataText } from './metadata.ts'
import { join } from './participants.ts'

/** What a door may ask beyond the API. */
export type SendingRules = {
  /** A closed conversation opens for a message while it is `recent` (its inbox says how long), always, or never. */
  reopens?: 'recent' | 'always' | 'never'
  /** Somebody of the team who does not take part yet comes in by writing; with `false` that is refused. */
  joins?: boolean
  /** A line of the team to which nobody owes an answer: it is never unread. */
  kind?: 'system'
}

/**
 * Sends a message. Resolves after the commit, when everybody who listens has been told. The same clientMessageId with
 * the same content gives the same message for ever; with other content it is `key_reused` (promise G3).
 */
export function sendMessage(
  chat: Chat,
  actor: Actor,
  input: InputOf<'message.send'>,
  rules: SendingRules = {},
): Promise<Message> {
  if (rules.kind && !isStaff(actor)) return Promise.reject(new Failure('forbidden'))
  return write(chat, actor, input, 'everyone', rules)
}

/** Writes a note: a message that only the team sees. */
export async function writeNote(chat: Chat, actor: Actor, input: InputOf<'message.note'>): Promise<Message> {
  const { staff } = await standingOf(chat.db, actor, input.conversationId)
  if (!staff) throw new Failure('forbidden')
  return write(chat, actor, input, 'agents')
}

/** A thousand of these wait together on a busy server: each function that waits for the next is half a kilobyte of that. */
async function write(
  chat: Chat,
  actor: Actor,
  input: InputOf<'message.send'>,
  visibility: Visibility,
  rules: SendingRules = {},
): Promise<Message> {
  const draft = draftOf(actor, input, visibility, rules.kind)
  const first = await chat.sends.append(draft)
  const outcome = isMendable(first) ? await mend(chat, actor, draft, first, rules) : first
  switch (outcome.verdict) {
    case 'written':
      // Telling what was written brings the files; where that failed, they are read here.
      return outcome.message.attachments.length === draft.attachmentIds.length
        ? outcome.message
        : loadMessage(chat, actor, draft.id)
    case 'repeat':
      return loadMessage(chat, actor, outcome.id)
    case 'conflict':
      throw new Failure('key_reused')
    case 'closed':
      throw new Failure('conversation_closed')
    case 'archived':
      throw new Failure('conversation_archived')
    case 'no_grant':
      throw new Failure('grant_required')
    case 'bad_reply':
      throw invalid('replyToId', 'There is no such message in this conversation')
    case 'bad_attachment':
      throw invalid(
        'attachmentIds',
        'Each must be a file of yours, uploaded to this conversation and not sent yet',
      )
    case 'missing':
    case 'outsider':
      throw notFound()
  }
}

function draftOf(
  actor: Actor,
  input: InputOf<'message.send'>,
  visibility: Visibility,
  ruledKind: MessageKind | undefined,
): Draft {
  const { conversationId, clientMessageId, body = '', replyToId = null, attachmentIds = [] } = input
  if (body === '' && attachmentIds.length === 0)
    throw invalid('body', 'A message needs a text or an attachment')
  if (Buffer.byteLength(body) > limits.messageBytes)
    throw invalid('body', `At most ${limits.messageBytes} bytes of text`)
  const kind = ruledKind ?? input.kind ?? (attachmentIds.length > 0 ? 'file' : 'text')
  const metadata = input.metadata ? metadataText(input.metadata) : null
  const content = JSON.stringify([visibility, kind, body, replyToId, attachmentIds, metadata])
  return {
    workspaceId: actor.workspaceId,
    conversationId,
    id: randomUUIDv7(),
    senderId: actor.userId,
    kind,
    body,
    visibility,
    replyToId,
    metadata,
    clientMessageId,
    sendKey: halfDigest(`${conversationId} ${actor.userId} ${clientMessageId}`),
    contentHash: halfDigest(content),
    attachmentIds,
  }
}

/** 128 bits of SHA-256: what the store's `uuid` holds, the smallest fixed-size column that PostgreSQL indexes well. */
const halfDigest = (text: string) => hash('sha256', text, 'hex').slice(0, 32)

const isMendable = ({ verdict }: Outcome) => verdict === 'outsider' || verdict === 'closed'

/**
 * The batch judges by what it finds. Two of its refusals can be mended here and tried once more: somebody of the team
 * who has not joined yet joins by writing, and a conversation closed not long ago opens again.
 */
async function mend(
  chat: Chat,
  actor: Actor,
  draft: Draft,
  outcome: Outcome,
  { reopens = 'recent', joins = true }: SendingRules,
): Promise<Outcome> {
  if (outcome.verdict === 'outsider' && joins) {
    const { participant } = await standingOf(chat.db, actor, draft.conversationId)
    // Another send of theirs may have brought them in since the batch looked; then trying again is all there is to do.
    if (!participant) {
      await join(chat, actor, draft.conversationId, {
        userId: actor.userId,
        role: participantRoleOf(actor.role),
      })
    }
    return mend(chat, actor, draft, await chat.sends.append(draft), { reopens, joins: false })
  }
  if (outcome.verdict !== 'closed' || reopens === 'never') return outcome
  const isOpen = await reopenForMessage(chat, actor, draft.conversationId, { always: reopens === 'always' })
  return isOpen ? chat.sends.append(draft) : outcome
}

/**
 * Tells everybody who listens about a batch that has just been committed. Part of writing, not a second step. Completes
 * the messages with their files.
 */
export async function announceWritten(chat: Chat, written: WrittenDraft[]): Promise<void> {
  const byConversation = Map.groupBy(written, ({ draft }) => draft.conversationId)
  for (const [conversationId, ofOne] of byConversation) {
    const entries = []
    for (const { draft, outcome } of ofOne) {
      const { message } = outcome
      if (draft.attachmentIds.length > 0) {
        const files = await attachmentsOf(chat.db, draft.workspaceId, [message.id])
        message.attachments = (files.get(message.id) ?? []).map(attachmentView)
      }
      entries.push({
        event: {
          type: 'message.created' as const,
          conversationId,
          seq: message.seq,
          at: message.createdAt,
          actorId: draft.senderId,
          message,
        },
        visibility: draft.visibility,
      })
    }
    const [first] = ofOne
    const last = ofOne.at(-1)
    if (!first || !last) continue
    chat.announce({
      type: 'logged',
      workspaceId: first.draft.workspaceId,
      conversationId,
      inboxId: first.outcome.inboxId,
      seq: last.outcome.message.seq,
      entries,
    })
  }
}

async function loadMessage(chat: Chat, actor: Actor, id: string): Promise<Message> {
  const row = await chat.db
    .selectFrom('message')
    .selectAll()
    .where('workspace_id', '=', actor.workspaceId)
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return viewMessage(chat.db, row)
}
