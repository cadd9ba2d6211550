import type { Message } from '@parley/protocol'
import type { FastifyInstance } from 'fastify'
import { listDirects } from '../../chat/directs.ts'
import { getMessage, pageOfMessages } from '../../chat/history.ts'
import { peopleByIds } from '../../chat/people.ts'
import { markAllRead, markMessagesRead, receiptsIn } from '../../chat/receipts.ts'
import { searchMessages } from '../../chat/search.ts'
import type { Door } from '../door.ts'
import { bookingRoutes } from './booking-routes.ts'
import { inConversation } from './conversations.ts'
import type { Guest } from './entrance.ts'
import { fileRoutes } from './file-routes.ts'
import { answer, done, frame, guestOf } from './frame.ts'
import { noMessage, Refusal, texts } from './refusals.ts'
import { conversationRow, isUuid, messageRow, readPage } from './translate.ts'
import { type TutorGo, tutorGoAt } from './tutorgo.ts'

export async function routes(app: FastifyInstance, door: Door): Promise<void> {
  const tutorgo = tutorGoAt(door)
  await frame(app, tutorgo)
  healthRoutes(app, tutorgo)
  conversationRoutes(app, tutorgo)
  messageRoutes(app, tutorgo)
  bookingRoutes(app, tutorgo)
  await fileRoutes(app, tutorgo)
}

function healthRoutes(app: FastifyInstance, { connections }: TutorGo): void {
  const service = 'chat-service'
  app.get('/health', () => ({
    success: true,
    message: 'Success',
    data: {
      service,
      timestamp: new Date().toISOString(),
      uptime: process.uptime(),
      connections: connections.total,
    },
  }))
  app.get('/chat/health', () => ({
    success: true,
    message: 'Service is healthy',
    data: { service, activeConnections: connections.total },
  }))
}

function conversationRoutes(app: FastifyInstance, tutorgo: TutorGo): void {
  app.get<{ Params: { userId: string } }>(
    '/chat/conversations/:userId',
    { config: { tutorgoFault: 'Failed to retrieve conversations' } },
    async (request) => {
      const guest = await guestOf(tutorgo, request)
      requireSelf(guest, request.params.userId)
      return answer(tutorgo, 'Conversations retrieved successfully', await conversationsOf(tutorgo, guest))
    },
  )
  app.patch<{ Params: { conversationId: string } }>(
    '/chat/conversations/:conversationId/read',
    { config: { tutorgoFault: 'Failed to mark conversation as read' } },
    async (request) => {
      const guest = await guestOf(tutorgo, request)
      await inConversation(
        tutorgo,
        guest,
        request.params.conversationId,
        async (conversationId) => void (await markAllRead(tutorgo.chat, guest.actor, { conversationId })),
        undefined,
      )
      return done(tutorgo, 'Conversation marked as read')
    },
  )
}

function messageRoutes(app: FastifyInstance, tutorgo: TutorGo): void {
  app.get<{ Params: { conversationId: string }; Querystring: Record<string, unknown> }>(
    '/chat/messages/:conversationId',
    { config: { tutorgoFault: 'Failed to retrieve messages' } },
    async (request) => {
      const guest = await guestOf(tutorgo, request)
      const page = readPage(request.query)
      const messages = await inConversation(
        tutorgo,
        guest,
        request.params.conversationId,
        async (conversationId) =>
          (await pageOfMessages(tutorgo.chat, guest.actor, { conversationId, ...page })).messages.reverse(),
        [],
      )
      return answer(tutorgo, 'Messages retrieved successfully', await rowsOf(tutorgo, messages))
    },
  )
  app.patch<{ Params: { messageId: string } }>(
    '/chat/messages/:messageId/read',
    { config: { tutorgoFault: 'Failed to mark message as read' } },
    async (request) => {
      const { actor } = await guestOf(tutorgo, request)
      const { messageId } = request.params
      if (!isUuid(messageId)) throw noMessage()
      const { conversationId } = await getMessage(tutorgo.chat, actor, { messageId })
      if (!(await tutorgo.directory.pairOf(conversationId))) throw noMessage()
      await markMessagesRead(tutorgo.chat, actor, { conversationId, messageIds: [messageId] })
      return done(tutorgo, 'Message marked as read')
    },
  )
  app.get<{ Params: { userId: string }; Querystring: Record<string, unknown> }>(
    '/chat/search/:userId',
    { config: { tutorgoFault: 'Failed to search messages' } },
    async (request) => {
      const guest = await guestOf(tutorgo, request)
      requireSelf(guest, request.params.userId)
      const { q } = request.query
      if (typeof q !== 'string' || q.trim() === '' || q.length > 200 || q.includes('\0'))
        throw new Refusal(400, 'Search query required')
      const search = { q: q.trim(), kind: 'direct', ...readPage(request.query) } as const
      const messages = await searchMessages(tutorgo.chat, guest.actor, search)
      return answer(tutorgo, 'Messages retrieved successfully', await rowsOf(tutorgo, messages))
    },
  )
}

function requireSelf({ id }: Guest, userId: string): void {
  if (userId !== id) throw new Refusal(403, texts.notYours)
}

/** All of them, as ever: this list has no pages. Where two people had several conversations, the newest stands here. */
async function conversationsOf({ chat, workspaceId, directory }: TutorGo, { actor }: Guest) {
  const lines = await listDirects(chat, actor)
  const pairs = await directory.pairsOf(lines.map(({ id }) => id))
  const userIds = [...pairs.values()].flatMap(({ people }) => people.map(({ userId }) => userId))
  const people = await peopleByIds(chat.db, workspaceId, [...new Set(userIds)])
  const names = new Map(people.map(({ id, name }) => [id, name]))
  const rows = new Map<string, ReturnType<typeof conversationRow>>()
  for (const line of lines) {
    const pair = pairs.get(line.id)
    if (pair && !rows.has(pair.id)) rows.set(pair.id, conversationRow(line, pair, names))
  }
  return [...rows.values()]
}

async function rowsOf({ chat, workspaceId, directory, door }: TutorGo, messages: readonly Message[]) {
  const ids = [...new Set(messages.map((message) => message.conversationId))]
  const [pairs, receipts] = await Promise.all([directory.pairsOf(ids), receiptsIn(chat.db, workspaceId, ids)])
  return messages.flatMap((message) => {
    const pair = pairs.get(message.conversationId)
    const marks = receipts.get(message.conversationId) ?? []
    return pair ? [messageRow(message, pair, marks, door.mount.base)] : []
  })
}
