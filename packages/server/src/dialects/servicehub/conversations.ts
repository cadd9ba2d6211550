import type { FastifyInstance } from 'fastify'
import { isConversation } from '../../chat/access.ts'
import { isStaff } from '../../chat/actor.ts'
import { createConversation, deleteConversation } from '../../chat/conversations.ts'
import { Failure } from '../../chat/failure.ts'
import { listPlaced, listPlaces, type Place } from '../../chat/places.ts'
import type { Door } from '../door.ts'
import { businessOf } from './accounts.ts'
import { bodyOf, textOf } from './bodies.ts'
import { conversationOf, type Entrance, notYours } from './entrance.ts'
import { entryId, names } from './names.ts'
import { refusals } from './refusals.ts'
import type { Holder } from './tokens.ts'
import { conversationTypes, roleOf, toEntry, toParticipant } from './translate.ts'

/** Conversations, and everybody's entries in them. */
export function conversationRoutes(app: FastifyInstance, door: Door, entrance: Entrance): void {
  const { chat } = door
  const own = { onRequest: entrance.token }

  for (const [path, role] of [
    ['/getClientChats', 'CUSTOMER'],
    ['/getAgentChats', 'AGENT'],
  ] as const) {
    app.get(path, own, async (request) => {
      const holder = entrance.holder(request)
      if (roleOf(holder.actor.role) !== role) throw refusals.wrongRole(role)
      const places = await listPlaces(chat, holder.actor)
      return { success: true, userAsParticipantList: await entriesOf(door, holder, places) }
    })
  }

  app.post('/createClientChat', own, async (request) => {
    const holder = entrance.holder(request)
    if (isStaff(holder.actor)) throw refusals.onlyCustomersCreate()
    const body = bodyOf(request.body)
    const businessId = textOf(body, 'businessId')
    if (businessId === undefined) throw refusals.noBusinessId()
    const inboxId = await businessOf(door, businessId)
    const topic = typeOf(door, textOf(body, 'conversationType'))
    const { conversation } = await createConversation(chat, holder.actor, { kind: 'support', inboxId, topic })
    const places = await listPlaces(chat, holder.actor, { conversationId: conversation.id })
    const [newParticipantEntry] = await entriesOf(door, holder, places)
    return { newParticipantEntry }
  })

  app.delete('/deleteChatForAll', own, async (request) => {
    const holder = entrance.holder(request)
    const name = textOf(bodyOf(request.body), 'conversationId')
    if (name === undefined) throw refusals.noConversationId()
    if (!isStaff(holder.actor)) throw refusals.onlyAgentsDelete()
    const conversationId = await names.idOf(door, 'conversation', name)
    if (!conversationId) throw refusals.notPartOfIt(404)
    try {
      await deleteConversation(chat, holder.actor, { conversationId })
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'not_found') throw error
      const isThere = await isConversation(chat.db, holder.actor.workspaceId, conversationId)
      throw refusals.notPartOfIt(isThere ? 403 : 404)
    }
    return { success: true, message: 'Chat deleted successfully' }
  })

  app.get<{ Params: { id: string } }>(
    '/conversations/:id/participants',
    { onRequest: entrance.conversation },
    async (request) => {
      const conversationId = await conversationOf(door, request.params.id)
      const { actor } = await entrance.visitor(request, { conversationId })
      const placed = await listPlaced(chat, actor, { conversationId }).catch(async (error: unknown) => {
        throw await notYours(door, conversationId, error)
      })
      const [people, entries] = await Promise.all([
        names.ofAll(
          door,
          'person',
          placed.map(({ userId }) => userId),
        ),
        names.ofAll(
          door,
          'participant',
          placed.map(({ userId }) => entryId(conversationId, userId)),
        ),
      ])
      return placed.map((one) =>
        toParticipant(one, {
          entry: entries.get(entryId(conversationId, one.userId)) ?? '',
          conversation: request.params.id,
          user: people.get(one.userId) ?? '',
        }),
      )
    },
  )
}

/** Everybody's own entries, with three look-ups of names for however many there are. */
async function entriesOf(door: Door, { actor, id }: Holder, places: readonly Place[]) {
  const inboxIds = places.flatMap(({ conversation }) => conversation.inboxId ?? [])
  const ids = places.map(({ conversation }) => conversation.id)
  const [conversations, inboxes, entries] = await Promise.all([
    names.ofAll(door, 'conversation', ids),
    names.ofAll(door, 'inbox', inboxIds),
    names.ofAll(
      door,
      'participant',
      ids.map((conversationId) => entryId(conversationId, actor.userId)),
    ),
  ])
  return places.map((place) => {
    const { conversation } = place
    return toEntry(place, {
      entry: entries.get(entryId(conversation.id, actor.userId)) ?? '',
      conversation: conversations.get(conversation.id) ?? '',
      user: id,
      business: (conversation.inboxId && inboxes.get(conversation.inboxId)) || null,
    })
  })
}

function typeOf(door: Door, given: string | undefined): string {
  if (given === undefined) throw refusals.noConversationType()
  const type = given.toUpperCase()
  if (!conversationTypes.includes(type)) throw refusals.invalidConversationType()
  if (type === 'DIRECT' && door.mount.options.directConversations === 'refused')
    throw refusals.directRefused()
  return type
}
