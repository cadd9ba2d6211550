import type { ConversationSummary } from '@parley/protocol'
import type { FastifyInstance } from 'fastify'
import { type Actor, isAdmin, isStaff } from '../../chat/actor.ts'
import { concludeConversation } from '../../chat/conversation-states.ts'
import { createConversation } from '../../chat/conversations.ts'
import { Failure, notFound } from '../../chat/failure.ts'
import { pageOfMessages } from '../../chat/history.ts'
import { addParticipant, membersOf, removeParticipant } from '../../chat/participants.ts'
import { peopleByIds } from '../../chat/people.ts'
import { getConversation, listConversations } from '../../chat/summaries.ts'
import { check, forms } from './forms.ts'
import { uuidOf } from './ids.ts'
import { type Priyo, participant, reader } from './priyo.ts'
import { noSuchPeople, notTwo, Refusal, staffOnly } from './refusals.ts'
import { conversationHead, isActive, isShown, lastMessage, roleOf, userLite } from './translate.ts'
import { whoAsks } from './who.ts'

/** The list has no pages. Whoever has more conversations than this at once sees the newest of them. */
const longestList = 1_000

export function conversationRoutes(app: FastifyInstance, priyo: Priyo): void {
  const { chat } = priyo

  app.get('/api/conversations', async (request) => {
    const { actor } = await whoAsks(priyo, request)
    return { conversations: await listFor(priyo, actor) }
  })

  app.post('/api/conversations', async (request, reply) => {
    const { actor } = await whoAsks(priyo, request)
    const { participantIds, type, name } = check(forms.conversation, request.body)
    const isDirect = type === 'DIRECT'
    const { conversation } = await open(priyo, actor, participantIds as string[], isDirect, name)
    const { updatedAt: _, ...created } = await detailsOf(priyo, conversation)
    return reply.code(201).send({ message: 'Conversation created successfully', conversation: created })
  })

  app.get('/api/conversations/:conversationId', async (request) => {
    const { actor } = await whoAsks(priyo, request)
    return { conversation: await shownTo(priyo, actor, idIn(request.params)) }
  })

  app.post('/api/conversations/:conversationId/participants', async (request) => {
    const actor = requireStaff((await whoAsks(priyo, request)).actor)
    const { participantIds } = check(forms.participants, request.body)
    const conversationId = idIn(request.params)
    const { conversation } = await activeFor(priyo, actor, conversationId)
    if (conversation.kind === 'direct') throw notTwo()
    const userIds = await existing(priyo, participantIds as string[])
    for (const userId of userIds) await addParticipant(chat, actor, { conversationId, userId })
    return {
      message: 'Participants added successfully',
      conversation: await shownTo(priyo, actor, conversationId),
    }
  })

  app.delete('/api/conversations/:conversationId/participants/:userId', async (request) => {
    const actor = requireStaff((await whoAsks(priyo, request)).actor)
    const conversationId = idIn(request.params)
    const { conversation } = await activeFor(priyo, actor, conversationId)
    if (conversation.kind === 'direct') throw notTwo()
    const userId = uuidOf((request.params as { userId: string }).userId)
    const members = (await membersOf(chat.db, priyo.workspaceId, [conversationId])).get(conversationId) ?? []
    if (!userId || !members.some((member) => member.userId === userId))
      throw new Refusal(404, 'Participant not found')
    await removeParticipant(chat, actor, { conversationId, userId })
    return { message: 'Participant removed successfully' }
  })

  app.delete(
    '/api/conversations/:conversationId',
    { config: { priyo: { missing: 'Conversation not found or already left' } } },
    async (request) => {
      const actor = requireStaff((await whoAsks(priyo, request)).actor)
      await concludeConversation(chat, actor, { conversationId: idIn(request.params) })
      return { message: 'Left conversation successfully' }
    },
  )
}

/** The conversation that a path names; what is no id of ours names nothing. */
export function idIn(params: unknown): string {
  const id = uuidOf((params as { conversationId: string }).conversationId)
  if (!id) throw notFound()
  return id
}

function requireStaff(actor: Actor): Actor {
  if (!isStaff(actor)) throw staffOnly(roleOf(actor.role))
  return actor
}

/** Admins see every active conversation, with unread counts where they take part; everybody else their own. */
async function listFor(priyo: Priyo, actor: Actor) {
  const own = await activeOf(priyo, participant(actor))
  const all = isAdmin(actor) ? await withOthers(priyo, actor, own) : own
  const ids = all.map(({ conversation }) => conversation.id)
  const members = await membersOf(priyo.chat.db, priyo.workspaceId, ids)
  const userIdsOf = (id: string) => (members.get(id) ?? []).map((one) => one.userId)
  const faceOf = await priyo.faces.of([
    ...ids.flatMap(userIdsOf),
    ...all.map(({ lastMessage: last }) => last?.senderId ?? null),
  ])
  return all.map(({ conversation, lastMessage: last, unread }) => ({
    ...conversationHead(conversation),
    participants: userIdsOf(conversation.id).map((id) => userLite(faceOf(id), priyo.door.presenceOf(id))),
    lastMessage: last && lastMessage(last, faceOf(last.senderId), priyo.urlOf),
    unreadCount: unread,
    createdAt: conversation.createdAt,
    updatedAt: conversation.updatedAt,
  }))
}

async function activeOf(priyo: Priyo, actor: Actor): Promise<ConversationSummary[]> {
  const page = await listConversations(priyo.chat, actor, {
    view: 'participating',
    status: 'active',
    limit: longestList,
  })
  return page.conversations
}

async function withOthers(
  priyo: Priyo,
  actor: Actor,
  own: ConversationSummary[],
): Promise<ConversationSummary[]> {
  const mine = new Map(own.map((summary) => [summary.conversation.id, summary]))
  const { conversations } = await listConversations(priyo.chat, actor, {
    status: 'active',
    limit: longestList,
  })
  return Promise.all(
    conversations.map(
      async (summary) =>
        mine.get(summary.conversation.id) ?? { ...(await withoutNote(priyo, actor, summary)), unread: 0 },
    ),
  )
}

/** A note that was written last is nothing that this dialect knows; then it is the message before. */
async function withoutNote(
  priyo: Priyo,
  actor: Actor,
  summary: ConversationSummary,
): Promise<ConversationSummary> {
  if (!summary.lastMessage || isShown(summary.lastMessage)) return summary
  const { messages } = await pageOfMessages(priyo.chat, actor, {
    conversationId: summary.conversation.id,
    page: 1,
    limit: 1,
  })
  return { ...summary, lastMessage: messages[0] ?? null }
}

/** The one rule of what is there: an active conversation that the reader takes part in, or any for an admin. */
export async function activeFor(
  priyo: Priyo,
  actor: Actor,
  conversationId: string,
): Promise<ConversationSummary> {
  const summary = await getConversation(priyo.chat, reader(actor), { conversationId })
  if (!isActive(summary.conversation)) throw notFound()
  return summary
}

async function shownTo(priyo: Priyo, actor: Actor, conversationId: string) {
  const { conversation } = await activeFor(priyo, actor, conversationId)
  return detailsOf(priyo, conversation)
}

async function detailsOf(priyo: Priyo, conversation: ConversationSummary['conversation']) {
  const members = await membersOf(priyo.chat.db, priyo.workspaceId, [conversation.id])
  const userIds = (members.get(conversation.id) ?? []).map((one) => one.userId)
  const faceOf = await priyo.faces.of(userIds)
  return {
    ...conversationHead(conversation),
    participants: userIds.map((id) => userLite(faceOf(id), priyo.door.presenceOf(id))),
    createdAt: conversation.createdAt,
    updatedAt: conversation.updatedAt,
  }
}

/** Two for a direct one, me among them; only then is looked who they are. */
async function open(
  priyo: Priyo,
  actor: Actor,
  ids: string[],
  isDirect: boolean,
  name: unknown,
): Promise<ConversationSummary> {
  const userIds = new Set(ids.map((id) => uuidOf(id) ?? id)).add(actor.userId)
  if (isDirect && userIds.size !== 2) throw notTwo()
  const others = [...userIds].filter((id) => id !== actor.userId)
  if (ids.some((id) => !uuidOf(id))) throw noSuchPeople()
  try {
    return await createConversation(
      priyo.chat,
      actor,
      {
        kind: isDirect ? 'direct' : 'group',
        participantIds: others,
        ...(typeof name === 'string' && !isDirect && { subject: name }),
      },
      { strangersWelcome: true },
    )
  } catch (error) {
    throw error instanceof Failure && error.code === 'not_found' ? noSuchPeople() : error
  }
}

/** All of these people, or a refusal of them all. */
async function existing(priyo: Priyo, ids: string[]): Promise<string[]> {
  const userIds = [...new Set(ids)].flatMap((id) => uuidOf(id) ?? [])
  const people = await peopleByIds(priyo.chat.db, priyo.workspaceId, userIds)
  const active = people.filter((person) => person.deactivated_at === null)
  if (active.length !== new Set(ids).size) throw noSuchPeople()
  return userIds
}
