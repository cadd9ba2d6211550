import { randomUUID } from 'node:crypto'
import type { Event, Receipt } from '@parley/protocol'
import { standingOf } from '../../chat/access.ts'
import type { Actor } from '../../chat/actor.ts'
import { Failure } from '../../chat/failure.ts'
import { identifyAgain } from '../../chat/identities.ts'
import { join } from '../../chat/participants.ts'
import { markAllRead, markMessagesRead } from '../../chat/receipts.ts'
import { setTyping } from '../../chat/typing.ts'
import { refuseUnkeepable } from '../../validation.ts'
import type { Door, Listening, SocketRequest } from '../door.ts'
import { sent } from './messages.ts'
import { namesOf } from './names.ts'
import { type ErrorFrame, frameOf, frames } from './refusals.ts'
import { forgetIfEmpty, type Room, roomOf, type Seat } from './rooms.ts'
import { translated } from './told.ts'
import {
  fromConversationId,
  fromMessageId,
  fromNewMessage,
  type NewMessage,
  toFrame,
  toRole,
} from './translate.ts'
import { whoIs } from './who.ts'

/** Frames that wait for admission, and commands under way; more are refused, and the socket stays. */
export const mostWaiting = 256

type Sending = { echo: Record<string, unknown>; isTold: boolean }

/** Somebody in a conversation, on one socket. */
export class Guest implements Seat {
  userId = ''
  readonly tell: (frame: object) => void
  readonly #door: Door
  readonly #turnAway: (frame: ErrorFrame) => void
  #name = ''
  #conversationId = ''
  #room: Room | null = null
  #listening: Listening | null = null
  #isOver = false
  /** Messages of this socket that were sent and not told of yet, by their keys. */
  readonly #sending = new Map<string, Sending>()
  /** Those told of without having been heard: a repeat, or the hint was lost. */
  readonly #answered = new Set<string>()
  #line: Promise<void> = Promise.resolve()
  #underWay = 0
  readonly #ownMarks = new Set<string>()
  #typing = false
  readonly #typed: { typing: boolean; until: number }[] = []

  constructor(door: Door, tell: (frame: object) => void, turnAway: (frame: ErrorFrame) => void) {
    this.#door = door
    this.tell = tell
    this.#turnAway = turnAway
  }

  /** Lets somebody in who may; false when the socket closed meanwhile or they were turned away. */
  async begin(name: string | undefined, request: SocketRequest): Promise<boolean> {
    const token = request.query.get('token')
    if (!token) return this.#refuse(frames.missingToken)
    const actor = await whoIs(this.#door, token, request.address)
    const conversationId = fromConversationId(name)
    if (!conversationId) return this.#refuse(frames.noAccess)
    await this.#takePart(actor, conversationId)
    this.userId = actor.userId
    this.#conversationId = conversationId
    const listening = await this.#door.listen(
      {
        actor,
        hear: (event) => this.#hear(event),
        reauthenticate: () => identifyAgain(this.#door.chat, listening.actor),
        ended: () => this.#turnAway(frames.invalidToken),
      },
      { feed: false },
    )
    if (this.#isOver) listening.end()
    if (this.#isOver) return false
    this.#listening = listening
    const names = await namesOf(this.#door, [actor.userId])
    this.#name = names(actor.userId)
    await listening.follow(conversationId)
    if (this.#isOver) return false
    this.#sitDown()
    return true
  }

  /** Handles one frame of the client. Sends start in the order said; marks and typing go one after the other. */
  said(text: string): void {
    const frame = objectIn(text)
    if (!frame) return this.tell(frames.badFormat)
    if (frame.type === 'ping') return this.tell({ type: 'pong', timestamp: new Date().toISOString() })
    const work = this.#workOf(frame)
    if (!work) return
    if (this.#underWay >= mostWaiting) return this.tell(frames.tooMany)
    this.#underWay++
    work()
      .catch((fault: unknown) => this.#failed(fault))
      .finally(() => {
        this.#underWay--
      })
  }

  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    if (this.#typing) this.#setTyping(false).catch(() => {})
    this.#listening?.end()
    if (!this.#room) return
    if (this.#room.leave(this)) this.#room.tellOthers(this, { type: 'user_left', userId: this.#name })
    forgetIfEmpty(this.#door.chat, this.#conversationId)
  }

  get #actor(): Actor {
    if (!this.#listening) throw new Error('Nobody has been let in yet')
    return this.#listening.actor
  }

  #refuse(frame: ErrorFrame): false {
    this.#turnAway(frame)
    return false
  }

  /** Admins come into a conversation by connecting to it. */
  async #takePart(actor: Actor, conversationId: string): Promise<void> {
    const { participant } = await standingOf(this.#door.chat.db, actor, conversationId)
    if (participant) return
    await join(this.#door.chat, actor, conversationId, { userId: actor.userId, role: 'agent' })
  }

  /** Before anything is heard: in a busy conversation that is while coming in. */
  #sitDown(): Room {
    if (this.#room) return this.#room
    this.tell({ type: 'system', message: 'Connected to conversation', timestamp: new Date().toISOString() })
    const room = roomOf(this.#door.chat, this.#conversationId)
    this.#room = room
    if (room.enter(this))
      room.tellOthers(this, { type: 'user_joined', userId: this.#name, role: toRole(this.#actor.role) })
    return room
  }

  #workOf(frame: Record<string, unknown>): (() => Promise<void>) | undefined {
    switch (frame.type) {
      case 'message':
        return async () => this.#send(fromNewMessage(clean(frame)))
      case 'typing':
        return () => this.#inLine(() => this.#setTyping(frame.isTyping === true))
      case 'read':
        return () => this.#inLine(() => this.#markRead(frame.messageId))
    }
  }

  #inLine(work: () => Promise<void>): Promise<void> {
    const done = this.#line.then(work)
    this.#line = done.catch(() => {})
    return done
  }

  async #send(given: NewMessage): Promise<void> {
    const clientMessageId = given.clientMessageId ?? randomUUID()
    const sending: Sending = { echo: given.echo, isTold: false }
    this.#sending.set(clientMessageId, sending)
    try {
      const message = await sent(this.#door, this.#actor, this.#conversationId, { ...given, clientMessageId })
      // What was written has been announced and stands in the line of what is heard; there it is answered in order.
      await this.#listening?.settled()
      if (sending.isTold) return
      remember(this.#answered, clientMessageId)
      const names = await namesOf(this.#door, [message.senderId])
      this.tell({ type: 'message_sent', ...toFrame(message, names), ...given.echo })
    } finally {
      if (this.#sending.get(clientMessageId) === sending) this.#sending.delete(clientMessageId)
    }
  }

  async #setTyping(typing: boolean): Promise<void> {
    this.#typing = typing
    const echo = { typing, until: performance.now() + 2_000 }
    this.#typed.push(echo)
    await setTyping(this.#door.chat, this.#actor, { conversationId: this.#conversationId, typing })
  }

  async #markRead(messageName: unknown): Promise<void> {
    const where = { conversationId: this.#conversationId }
    const { chat } = this.#door
    if (messageName === undefined) {
      const { receipt } = await markAllRead(chat, this.#actor, where)
      return remember(this.#ownMarks, marksOf(receipt))
    }
    const messageId = fromMessageId(messageName)
    if (!messageId) return
    try {
      const receipt = await markMessagesRead(chat, this.#actor, { ...where, messageIds: [messageId] })
      remember(this.#ownMarks, marksOf(receipt))
    } catch (fault) {
      // Not a message of this conversation: nothing happens, and nobody is told whether there is one elsewhere.
      if (!(fault instanceof Failure && fault.code === 'not_found')) throw fault
    }
  }

  #failed(fault: unknown): void {
    if (this.#isOver) return
    const frame = frameOf(fault)
    if (frame === frames.broken) this.#door.log.error({ err: fault }, 'a frame could not be dealt with')
    this.tell(frame)
  }

  async #hear(event: Event): Promise<void> {
    if (this.#isOver || !('conversationId' in event)) return
    if (event.conversationId !== this.#conversationId) return
    const room = this.#sitDown()
    if (event.type === 'conversation.lost' || event.type === 'conversation.deleted')
      return this.#turnAway(frames.noAccess)
    const told = await translated(this.#door, room, this.#actor, event)
    if (!told || this.#isOver) return
    if (event.type === 'message.created') return this.#hearMessage(event, told)
    if (await this.#isOwn(event)) return
    this.tell(told)
  }

  #hearMessage({ message }: Extract<Event, { type: 'message.created' }>, told: object): void {
    const isMine = message.senderId === this.userId
    const key = message.clientMessageId ?? ''
    if (isMine && this.#answered.delete(key)) return
    const sending = isMine ? this.#sending.get(key) : undefined
    if (!sending) return this.tell(told)
    sending.isTold = true
    this.#sending.delete(key)
    this.tell({ ...told, type: 'message_sent', ...sending.echo })
  }

  /** Whether this socket caused it, rather than another one of the same person. */
  async #isOwn(event: Event): Promise<boolean> {
    if (event.type === 'typing.changed' && event.userId === this.userId) return this.#didType(event.typing)
    if (event.type !== 'receipt.moved' || event.receipt.userId !== this.userId) return false
    await this.#line
    return this.#ownMarks.delete(marksOf(event.receipt))
  }

  #didType(typing: boolean): boolean {
    const now = performance.now()
    while (this.#typed[0] && this.#typed[0].until < now) this.#typed.shift()
    const at = this.#typed.findIndex((echo) => echo.typing === typing)
    if (at >= 0) this.#typed.splice(at, 1)
    return at >= 0
  }
}

function remember(few: Set<string>, one: string): void {
  few.add(one)
  const [oldest] = few
  if (few.size > mostWaiting && oldest !== undefined) few.delete(oldest)
}

const marksOf = ({ read, readBeyond }: Receipt) => JSON.stringify([read, readBeyond])

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function clean(frame: Record<string, unknown>): Record<string, unknown> {
  refuseUnkeepable(frame)
  return frame
}
