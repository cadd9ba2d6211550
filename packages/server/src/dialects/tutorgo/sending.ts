import { randomUUIDv7 } from 'node:crypto'
import type { Message } from '@parley/protocol'
import { createConversation } from '../../chat/conversations.ts'
import { Failure } from '../../chat/failure.ts'
import { hasGrant } from '../../chat/grants.ts'
import { sendMessage } from '../../chat/messages.ts'
import type { Looked } from './bookings.ts'
import type { Guest } from './entrance.ts'
import { isPairOf } from './pair-ids.ts'
import { noBooking, notAMember, Refusal, texts } from './refusals.ts'
import type { Wanted } from './translate.ts'
import type { TutorGo } from './tutorgo.ts'

/** A message that may go, as far as this door can tell; the store has the last word on bookings. */
export type Ready = { conversationId: string; receiverUserId: string; wanted: Wanted; looked: Looked }

/** Everything before the write: who it goes to, whether there is a booking, and the conversation, made when it is the first. */
export async function prepare(tutorgo: TutorGo, guest: Guest, wanted: Wanted): Promise<Ready> {
  const { actor, id: me } = guest
  if (!isPairOf(wanted.conversationId, me, wanted.receiverId)) throw notAMember()
  if (tutorgo.messages.take(actor.userId) > 0) throw new Refusal(429, texts.tooManyMessages)
  const looked = await tutorgo.bookings.look(me, wanted.receiverId)
  // Whoever no token and no booking has ever named cannot have a booking with anybody.
  const receiverUserId = await tutorgo.directory.findOne(wanted.receiverId)
  if (receiverUserId === null) throw refusalWithout(looked)
  const conversationId = await conversationWith(tutorgo, guest, receiverUserId, looked)
  return { conversationId, receiverUserId, wanted, looked }
}

/** Writes it. A conversation that was deleted or archived since it was remembered is looked for, or made, once more. */
export async function send(tutorgo: TutorGo, guest: Guest, ready: Ready): Promise<Message> {
  try {
    return await write(tutorgo, guest, ready)
  } catch (error) {
    const isGone = error instanceof Failure && ['not_found', 'conversation_archived'].includes(error.code)
    if (!isGone) throw withText(error, ready.looked)
    tutorgo.directory.forgetDirect(guest.actor, ready.receiverUserId)
    const conversationId = await conversationWith(tutorgo, guest, ready.receiverUserId, ready.looked)
    return await write(tutorgo, guest, { ...ready, conversationId }).catch((again: unknown) => {
      throw withText(again, ready.looked)
    })
  }
}

function write({ chat }: TutorGo, { actor }: Guest, { conversationId, wanted }: Ready): Promise<Message> {
  const { body, attachmentIds, clientMessageId } = wanted
  const message = {
    conversationId,
    clientMessageId: clientMessageId ?? randomUUIDv7(),
    body,
    ...(attachmentIds.length > 0 && { attachmentIds }),
  }
  return sendMessage(chat, actor, message, { reopens: 'always', joins: false })
}

async function conversationWith(
  tutorgo: TutorGo,
  { actor }: Guest,
  receiverUserId: string,
  looked: Looked,
): Promise<string> {
  const { chat, directory } = tutorgo
  const direct = await directory.directOf(actor, receiverUserId)
  if (direct && direct.status !== 'archived') {
    // Where the team opened a conversation without that condition, the condition of this door stands all the same.
    if (!direct.grantRequired && !(await hasGrant(chat.db, actor, receiverUserId, 'write')))
      throw refusalWithout(looked)
    return direct.id
  }
  try {
    const wish = { participantIds: [receiverUserId], grantRequired: true }
    return (await createConversation(chat, actor, { kind: 'direct', ...wish })).conversation.id
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    if (error.code === 'not_found') throw refusalWithout(looked)
    const { conversationId } = error.details
    if (error.code !== 'conversation_exists' || typeof conversationId !== 'string') throw error
    return conversationId
  }
}

function withText(error: unknown, looked: Looked): unknown {
  if (!(error instanceof Failure)) return error
  if (error.code === 'grant_required') return refusalWithout(looked)
  if (error.code === 'invalid_request' && error.details.field === 'attachmentIds')
    return new Refusal(404, texts.noFile)
  if (error.code === 'not_found') return noBooking()
  return error
}

/** When the bookings service did not answer nobody knows that there is no booking. */
const refusalWithout = (looked: Looked) =>
  looked === 'unknown' ? new Refusal(503, texts.notSent) : noBooking()
