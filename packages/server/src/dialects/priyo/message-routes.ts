import { randomUUID } from 'node:crypto'
import type { Message } from '@parley/protocol'
import type { FastifyInstance } from 'fastify'
import type { Actor } from '../../chat/actor.ts'
import { getAttachment } from '../../chat/attachments.ts'
import { Failure, invalid, notFound } from '../../chat/failure.ts'
import { pageOfMessages } from '../../chat/history.ts'
import { sendMessage } from '../../chat/messages.ts'
import { markRead, movesOf } from '../../chat/receipts.ts'
import { countUnread } from '../../chat/summaries.ts'
import { idIn } from './conversation-routes.ts'
import { fileOfUrl } from './files.ts'
import { check, forms } from './forms.ts'
import { uuidOf } from './ids.ts'
import { type Priyo, participant, reader } from './priyo.ts'
import { Refusal } from './refusals.ts'
import { fromType, historyLine, isActive, sentMessage } from './translate.ts'
import { whoAsks } from './who.ts'

export function messageRoutes(app: FastifyInstance, priyo: Priyo): void {
  const { chat, workspaceId } = priyo

  app.get('/api/messages/unread/count', async (request) => {
    const { actor } = await whoAsks(priyo, request)
    const { messages } = await countUnread(chat, participant(actor), { active: true })
    return { unreadCount: messages }
  })

  app.get('/api/messages/:conversationId', async (request) => {
    const { actor } = await whoAsks(priyo, request)
    const conversationId = idIn(request.params)
    const { page, limit } = request.query as Record<string, unknown>
    const { messages, standing } = await pageOfMessages(chat, reader(actor), {
      conversationId,
      page: Math.min(countOf(page) ?? 1, 10_000_000),
      limit: Math.min(countOf(limit) ?? 50, 200),
    })
    if (!isActive(standing.conversation)) throw notFound()
    const first = messages.at(0)
    const last = messages.at(-1)
    if (!first || !last) return { messages: [] }
    const moves = await movesOf(chat.db, workspaceId, conversationId, { from: first.seq, to: last.seq })
    const faceOf = await priyo.faces.of([
      ...messages.map((message) => message.senderId),
      ...moves.map((move) => move.userId),
    ])
    return { messages: messages.map((message) => historyLine(message, faceOf, moves, priyo.urlOf)) }
  })

  app.post('/api/messages', async (request, reply) => {
    const { actor } = await whoAsks(priyo, request)
    const message = await send(priyo, actor, check(forms.message, request.body), randomUUID())
    const faceOf = await priyo.faces.of([actor.userId])
    return reply
      .code(201)
      .send({ message: 'Message sent successfully', data: sentMessage(message, faceOf(actor.userId)) })
  })

  app.post('/api/messages/read', async (request) => {
    const { actor } = await whoAsks(priyo, request)
    const ids = check(forms.read, request.body).messageIds as string[]
    const messageIds = ids.map(uuidOf)
    const denied = () => new Refusal(400, 'Some messages not found or access denied')
    if (messageIds.includes(null)) throw denied()
    try {
      await markRead(
        chat,
        reader(actor),
        messageIds.filter((id) => id !== null),
      )
    } catch (error) {
      throw error instanceof Failure && error.code === 'not_found' ? denied() : error
    }
    return { message: 'Messages marked as read' }
  })
}

/** Junk counts as nothing said. */
const countOf = (text: unknown) => {
  const count = typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : 0
  return count > 0 ? count : undefined
}

/**
 * Sends what the form of a message has let through. An agent who does not take part is no reader here and nobody of
 * the team, so the batch itself refuses them: no question before it. A closed conversation stays closed.
 */
export async function send(
  priyo: Priyo,
  actor: Actor,
  given: Record<string, unknown>,
  clientMessageId: string,
): Promise<Message> {
  const conversationId = uuidOf(given.conversationId)
  if (!conversationId) throw notFound()
  const file = typeof given.fileUrl === 'string' ? await fileOf(priyo, actor, given.fileUrl) : null
  return sendMessage(
    priyo.chat,
    actor,
    {
      conversationId,
      clientMessageId,
      body: String(given.content),
      kind: fromType(given.type, file?.mimeType ?? null),
      ...(file && { attachmentIds: [file.id] }),
    },
    { reopens: 'never' },
  )
}

/** A file of the sender's own, as their upload named it. Who it may be sent to, the sending itself decides. */
async function fileOf(priyo: Priyo, actor: Actor, url: string) {
  const attachmentId = fileOfUrl(priyo.files, url)?.attachmentId
  const refusal = () => invalid('fileUrl', 'must be the url of an upload')
  if (!attachmentId) throw refusal()
  try {
    return await getAttachment(priyo.chat, actor, { attachmentId })
  } catch (error) {
    throw error instanceof Failure ? refusal() : error
  }
}
