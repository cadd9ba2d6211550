import type { ConversationSummary } from '@parley/protocol'
import { type Actor, isStaff } from '../../chat/actor.ts'
import { createContact } from '../../chat/contacts.ts'
import { assignConversation } from '../../chat/conversation-states.ts'
import { createConversation, updateConversation } from '../../chat/conversations.ts'
import { addParticipant } from '../../chat/participants.ts'
import { markAllRead } from '../../chat/receipts.ts'
import { rostersOf } from '../../chat/rosters.ts'
import { getConversation, pageOfConversations } from '../../chat/summaries.ts'
import type { Door } from '../door.ts'
import { namesOf, peopleNamed } from './names.ts'
import { refusals } from './refusals.ts'
import {
  type ConversationChange,
  fromConversationId,
  type NewConversation,
  toConversation,
  toConversationId,
  toParticipant,
} from './translate.ts'

export async function listed(
  door: Door,
  actor: Actor,
  query: { page: number; limit: number; status?: 'active' | 'closed' | 'archived' },
) {
  const { conversations, total } = await pageOfConversations(door.chat, actor, query)
  const shown = await shownAll(door, conversations)
  return {
    conversations: shown.map((conversation, i) => ({
      ...conversation,
      unreadCount: conversations[i]?.unread ?? 0,
    })),
    pagination: { total, page: query.page, limit: query.limit },
  }
}

export async function opened(door: Door, actor: Actor, given: NewConversation) {
  const { participants = [], ...content } = given
  if (given.participants && !isStaff(actor)) throw refusals.onlyAdminsInvite()
  const { inbox } = door.mount.options
  const participantIds = await idsOf(door, participants)
  const summary = await createConversation(
    door.chat,
    actor,
    { kind: 'support', ...content, ...(inbox && { inboxId: inbox }), participantIds },
    { firstInbox: true },
  )
  return shown(door, summary)
}

/** Whoever has not been here yet is known from now on, by the name that their token will say. */
async function idsOf(door: Door, names: readonly string[]): Promise<string[]> {
  const known = await peopleNamed(door, names)
  const ids: string[] = []
  for (const name of names) {
    const person =
      known.get(name) ??
      (await createContact(door.chat, { workspaceId: door.mount.workspaceId }, { name, externalId: name }))
    ids.push(person.id)
  }
  return ids
}

export async function fetched(door: Door, actor: Actor, name: string) {
  return shown(door, await getConversation(door.chat, actor, { conversationId: requireId(name) }))
}

export async function updated(door: Door, actor: Actor, name: string, change: ConversationChange) {
  const { status, ...content } = change
  const input = { conversationId: requireId(name), ...content }
  return shown(
    door,
    await updateConversation(door.chat, actor, input, { keepsNulls: true, ...(status && { status }) }),
  )
}

/** Brings an admin in and makes the conversation theirs; one that is over stays so, and only gets a participant. */
export async function assigned(door: Door, actor: Actor, name: string, adminName: string | undefined) {
  if (!isStaff(actor)) throw refusals.onlyAdminsAssign()
  const conversationId = requireId(name)
  const { conversation } = await getConversation(door.chat, actor, { conversationId })
  const userId = adminName === undefined ? actor.userId : await adminNamed(door, adminName)
  const isOver = conversation.status === 'closed' || conversation.status === 'archived'
  if (isOver) await addParticipant(door.chat, actor, { conversationId, userId }, { intoArchived: true })
  else await assignConversation(door.chat, actor, { conversationId, userId })
  return { conversationId: name, participants: await participantsOf(door, conversationId) }
}

async function adminNamed(door: Door, name: string): Promise<string> {
  const person = (await peopleNamed(door, [name])).get(name)
  if (!person || !isStaff(person)) throw refusals.unknownAdmin()
  return person.id
}

export async function allRead(door: Door, actor: Actor, name: string) {
  await markAllRead(door.chat, actor, { conversationId: requireId(name) })
  return { message: 'Conversation marked as read' }
}

export async function participantsOf(door: Door, conversationId: string) {
  const rosters = await rostersOf(door.chat.db, door.mount.workspaceId, [conversationId])
  return (rosters.get(conversationId) ?? []).map(toParticipant)
}

export function requireId(name: string): string {
  const id = fromConversationId(name)
  if (!id) throw refusals.notFound()
  return id
}

async function shown(door: Door, summary: ConversationSummary) {
  const [conversation] = await shownAll(door, [summary])
  if (!conversation) throw new Error(`${toConversationId(summary.conversation.id)} could not be shown`)
  return conversation
}

/** Two statements for a page of any length. */
async function shownAll(door: Door, summaries: readonly Pick<ConversationSummary, 'conversation'>[]) {
  const ids = summaries.map(({ conversation }) => conversation.id)
  const rosters = await rostersOf(door.chat.db, door.mount.workspaceId, ids)
  const names = await namesOf(
    door,
    summaries.map(({ conversation }) => conversation.createdBy),
  )
  return summaries.map(({ conversation }) =>
    toConversation(conversation, rosters.get(conversation.id) ?? [], names),
  )
}
