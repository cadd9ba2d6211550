import { randomUUID } from 'node:crypto'
import { limits } from '@parley/protocol'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isConversation } from '../../chat/access.ts'
import { acquaintancesOf } from '../../chat/acquaintance.ts'
import type { Actor } from '../../chat/actor.ts'
import { Failure } from '../../chat/failure.ts'
import { getMessage, listMessages } from '../../chat/history.ts'
import { sendMessage } from '../../chat/messages.ts'
import { peopleByIds } from '../../chat/people.ts'
import { markAllRead, markMessagesRead } from '../../chat/receipts.ts'
import { countUnreadBySide, type Side, sideOf } from '../../chat/sides.ts'
import { setTyping } from '../../chat/typing.ts'
import type { Door } from '../door.ts'
import { bodyOf, textOf } from './bodies.ts'
import { conversationOf, type Entrance, notYours, standIn } from './entrance.ts'
import { messageNamed, names } from './names.ts'
import type { People } from './people.ts'
import { forReader, nobodyYet, readStateOf, tellMessage, tellMessages, withSender } from './reading.ts'
import { Refusal, refusals } from './refusals.ts'
import { fromMessage, isContentType, type NewMessage, roleOf } from './translate.ts'

/** Without paging, clients are shown this many, the newest. */
const wholeHistory = 2_000

type OfConversation = { Params: { id: string } }
type OfMessage = { Params: { id: string; mid: string } }

/** Messages, who has read them, who is typing, and who is here. */
export function messageRoutes(app: FastifyInstance, door: Door, entrance: Entrance, people: People): void {
  const { chat, mount } = door
  const asked = { onRequest: entrance.conversation }

  app.get<OfConversation>('/conversations/:id/messages', asked, async (request) => {
    const conversationId = await conversationOf(door, request.params.id)
    const { actor } = await entrance.visitor(request, { conversationId })
    await standIn(door, actor, conversationId)
    const page = await pageOf(door, actor, conversationId, request.query)
    const { messages: shown } = await listMessages(
      chat,
      actor,
      { conversationId, ...page },
      { without: 'notes' },
    )
    const told = await tellMessages(door, shown, await readStateOf(door, conversationId))
    const senders = await people.of(shown.flatMap(({ senderId }) => senderId ?? []))
    return told.map((one, i) => {
      const { senderId = null, senderRole = '' } = shown[i] ?? {}
      const sender = (senderId && asSender(senders.get(senderId), senderRole)) || null
      return forReader(door, withSender(one, sender), actor)
    })
  })

  app.post<OfConversation>('/conversations/:id/messages', asked, async (request, reply) => {
    const body = bodyOf(request.body)
    const conversationId = await conversationOf(door, request.params.id)
    const senderId = textOf(body, 'senderId')
    const { actor, id } = await entrance
      .visitor(request, { conversationId, named: senderId })
      .catch(async (error: unknown) => {
        await requireSender(conversationId, senderId)
        throw error
      })
    if (senderId !== id) await refuseSender(actor, conversationId, senderId)
    const sending = read(() => ({ ...newMessageOf(body), key: textOf(body, 'clientMessageId', 64) }))
    if ('refusal' in sending) {
      await standIn(door, actor, conversationId)
      throw sending.refusal
    }
    const { key = randomUUID(), ...content } = sending.value
    const message = await sendMessage(chat, actor, {
      conversationId,
      clientMessageId: key,
      ...fromMessage(content),
    }).catch(async (error: unknown) => {
      throw await notYours(door, conversationId, error)
    })
    const told = await tellMessage(door, message, nobodyYet)
    const { username } = await people.one(actor.userId)
    return reply.code(201).send(withSender(told, { id, username }))
  })

  for (const [word, side] of [
    ['customer', 'contact'],
    ['agent', 'agent'],
  ] as const) {
    app.patch<OfMessage>(`/conversations/:id/messages/:mid/read/${word}`, asked, async (request) => {
      const conversationId = await names.idOf(door, 'conversation', request.params.id)
      const messageId = await messageNamed(door, request.params.mid)
      if (!conversationId) throw refusals.cannotMark(word)
      const { actor } = await entrance.visitor(request, { conversationId, side })
      await standIn(door, actor, conversationId).catch((error: unknown) => {
        throw error instanceof Refusal && error.status === 404 ? refusals.cannotMark(word) : error
      })
      if (sideOf(actor.role) !== side) throw refusals.otherSide()
      if (!messageId) throw refusals.cannotMark(word)
      await markMessagesRead(chat, actor, { conversationId, messageIds: [messageId] }).catch(
        orElse(() => refusals.cannotMark(word)),
      )
      const message = await getMessage(chat, actor, { messageId })
      const told = await tellMessage(door, message, await readStateOf(door, conversationId))
      return { success: true, message: forReader(door, told, actor) }
    })
  }

  app.patch<{ Params: { id: string; role: string } }>(
    '/conversations/:id/markAllAsRead/:role',
    asked,
    async (request) => {
      const conversationId = await conversationOf(door, request.params.id)
      const side = sideNamed(request.params.role)
      const { actor } = await entrance.visitor(request, { conversationId, side })
      await standIn(door, actor, conversationId)
      if (!side) throw refusals.invalidRole()
      if (sideOf(actor.role) !== side) throw refusals.otherSide()
      const read = (await readStateOf(door, conversationId))[side]
      const count = await countUnreadBySide(chat.db, mount.workspaceId, conversationId, side, read)
      await markAllRead(chat, actor, { conversationId })
      return { success: true, count }
    },
  )

  app.post<OfConversation>('/conversations/:id/typing', asked, async (request) => {
    const body = bodyOf(request.body)
    const conversationId = await conversationOf(door, request.params.id)
    const userId = typeof body.userId === 'number' ? String(body.userId) : textOf(body, 'userId')
    const { actor, id } = await entrance.visitor(request, { conversationId, named: userId })
    await standIn(door, actor, conversationId)
    textOf(body, 'username')
    if (userId !== id) throw refusals.notYourself('userId')
    if (typeof body.isTyping !== 'boolean') throw refusals.invalidTyping()
    await setTyping(chat, actor, { conversationId, typing: body.isTyping })
    return { success: true }
  })

  app.get<{ Params: { messageId: string } }>('/messages/:messageId', asked, async (request) => {
    const messageId = await messageNamed(door, request.params.messageId)
    if (!messageId) throw refusals.noSuchMessage()
    const { message, reader } = await messageFor(request, messageId)
    if (message.visibility !== 'everyone') throw refusals.noSuchMessage()
    const told = await tellMessage(door, message, await readStateOf(door, message.conversationId))
    const sender = message.senderId && asSender(await people.one(message.senderId), message.senderRole)
    return { success: true, message: forReader(door, withSender(told, sender || null), reader) }
  })

  app.get('/presence/online-users', asked, async (request) => {
    const { actor } = await entrance.visitor(request, {})
    const known = await acquaintancesOf(chat, actor)
    const here = known.filter((userId) => ['online', 'away'].includes(door.presenceOf(userId).state))
    const found = await people.of(here)
    return here.flatMap((userId) => {
      const someone = found.get(userId)
      return someone ? [{ userId: someone.id, role: someone.role }] : []
    })
  })

  /** Without a token, whoever is connected from the same address and may see the message. */
  async function messageFor(request: FastifyRequest, messageId: string) {
    for (const { actor } of entrance.possible(request)) {
      try {
        return { message: await getMessage(chat, actor, { messageId }), reader: actor }
      } catch (error) {
        if (!(error instanceof Failure) || error.code !== 'not_found') throw error
      }
    }
    throw refusals.noSuchMessage()
  }

  /** Why somebody may not send as this sender: there is none, the conversation is not theirs, or it is another. */
  async function refuseSender(actor: Actor, conversationId: string, senderId: string | undefined) {
    await requireSender(conversationId, senderId)
    await standIn(door, actor, conversationId)
    throw refusals.notYourself('senderId')
  }

  async function requireSender(conversationId: string, senderId: string | undefined) {
    const userId = senderId && (await names.idOf(door, 'person', senderId))
    const [sender] = userId ? await peopleByIds(chat.db, mount.workspaceId, [userId]) : []
    if (sender) return
    const isThere = await isConversation(chat.db, mount.workspaceId, conversationId)
    throw isThere ? refusals.noSuchSender() : refusals.noSuchConversation()
  }
}

const asSender = (someone: { id: string; username: string } | undefined, senderRole: string) =>
  someone && { id: someone.id, username: someone.username, role: roleOf(senderRole) }

async function pageOf(door: Door, actor: Actor, conversationId: string, query: unknown) {
  const { before, limit } = query as { before?: unknown; limit?: unknown }
  if (limit !== undefined && !(typeof limit === 'string' && /^[1-9]\d{0,3}$/.test(limit)))
    throw refusals.invalidPage('limit')
  const size = limit === undefined ? wholeHistory : Math.min(Number(limit), wholeHistory)
  if (before === undefined) return { limit: size }
  const messageId = typeof before === 'string' ? await messageNamed(door, before) : null
  if (!messageId) throw refusals.invalidPage('before')
  const message = await getMessage(door.chat, actor, { messageId }).catch(
    orElse(() => refusals.invalidPage('before')),
  )
  if (message.conversationId !== conversationId) throw refusals.invalidPage('before')
  return { before: message.seq, limit: size }
}

function newMessageOf(body: Readonly<Record<string, unknown>>): NewMessage {
  const text = textOf(body, 'body', limits.messageBytes) ?? null
  const fileUrl = textOf(body, 'fileUrl', 4_096) ?? null
  const mimeType = textOf(body, 'mimeType', 255) ?? null
  const { contentType = 'TEXT' } = body
  if (text === null && fileUrl === null) throw refusals.emptyMessage()
  if (!isContentType(contentType)) throw refusals.invalidContentType()
  if (fileUrl !== null && isScript(fileUrl)) throw refusals.invalidFileUrl()
  return { body: text, fileUrl, mimeType, contentType }
}

/** Clients make links of it. */
const isScript = (url: string) =>
  /^(javascript|vbscript|data:text\/html)/i.test(url.replaceAll(/[\s\p{Cc}]/gu, ''))

function sideNamed(role: string): Side | undefined {
  if (role === 'CUSTOMER') return 'contact'
  return role === 'AGENT' ? 'agent' : undefined
}

function read<T>(work: () => T): { value: T } | { refusal: unknown } {
  try {
    return { value: work() }
  } catch (refusal) {
    return { refusal }
  }
}

const orElse = (refusal: () => Error) => (error: unknown) => {
  throw error instanceof Failure && error.code === 'not_found' ? refusal() : error
}
