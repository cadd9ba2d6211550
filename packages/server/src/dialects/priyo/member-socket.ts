import { randomUUID } from 'node:crypto'
import type { Event, Message, Receipt } from '@parley/protocol'
import type { Socket } from 'socket.io'
import type { AccessClaims } from '../../chat/access-tokens.ts'
import type { Actor } from '../../chat/actor.ts'
import { notFound } from '../../chat/failure.ts'
import { membersOf } from '../../chat/participants.ts'
import { listReceipts, markMessagesRead } from '../../chat/receipts.ts'
import { actorOfSession } from '../../chat/sessions.ts'
import { setTyping } from '../../chat/typing.ts'
import type { Listening } from '../door.ts'
import { Asking, accessDenied, conversationIn, fieldsOf, notSent, silence } from './asking.ts'
import { activeFor } from './conversation-routes.ts'
import { check, forms } from './forms.ts'
import { uuidOf } from './ids.ts'
import { MemberRoom } from './member-room.ts'
import { MemberVoice } from './member-voice.ts'
import { send } from './message-routes.ts'
import { member, type Priyo, reader } from './priyo.ts'
import { isShown, newSpans, readSpans } from './translate.ts'
import { Typists } from './typists.ts'

/** How many conversations a socket may send into without having joined them and still be told whom that reaches. */
const mostOutside = 100

/** Somebody with an account on a socket. They hear the conversations that they have joined, and no other. */
export class MemberSocket {
  readonly #priyo: Priyo
  readonly #socket: Socket
  readonly #claims: AccessClaims
  #actor: Actor
  readonly #voice: MemberVoice
  readonly #rooms = new Map<string, MemberRoom>()
  /** What this socket is marking as read. */
  readonly #reading = new Set<string>()
  #listening: Promise<Listening> | undefined
  /** Joins, leaves and what follows a send, one after the other; whatever is asked after them waits for them. */
  #moving: Promise<unknown> = Promise.resolve()

  constructor(priyo: Priyo, socket: Socket, guest: { claims: AccessClaims; actor: Actor }) {
    this.#priyo = priyo
    this.#socket = socket
    this.#voice = new MemberVoice(priyo, socket)
    this.#claims = guest.claims
    this.#actor = guest.actor
  }

  open(): void {
    const asking = new Asking(this.#socket)
    this.#listening = this.#priyo.door.listen(
      {
        actor: reader(this.#actor),
        hear: (event) => this.#hear(event),
        reauthenticate: async () => {
          this.#actor = member(await actorOfSession(this.#priyo.chat, this.#claims))
          return reader(this.#actor)
        },
        ended: () => this.#socket.disconnect(true),
      },
      { feed: false },
    )
    this.#socket.on('disconnect', () => this.#close())
    asking.on('conversation:join', accessDenied, (id) => this.#inTurn(() => this.#join(idOfRoom(id))))
    asking.on('conversation:leave', silence, (id) => this.#inTurn(() => this.#leave(idOfRoom(id))))
    asking.on('message:send', notSent, (payload) => this.#send(payload))
    asking.on('message:read', accessDenied, (payload) => this.#markRead(fieldsOf(payload)))
    asking.on('typing:start', silence, (payload) => this.#type(conversationIn(payload), true))
    asking.on('typing:stop', silence, (payload) => this.#type(conversationIn(payload), false))
    asking.on('user-typing', silence, (payload) =>
      this.#type(conversationIn(payload), fieldsOf(payload).isTyping === true),
    )
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#moving.then(work)
    this.#moving = turn.catch(() => {})
    return turn
  }

  async #close(): Promise<void> {
    for (const room of this.#rooms.values()) room.typists.close()
    this.#rooms.clear()
    const listening = await this.#listening
    listening?.end()
  }

  async #ears(): Promise<Listening> {
    if (!this.#listening) throw new Error('A socket was asked something before it was opened')
    return this.#listening
  }

  async #join(conversationId: string): Promise<void> {
    if (this.#rooms.get(conversationId)?.joined) return
    const { conversation } = await activeFor(this.#priyo, this.#actor, conversationId)
    const room = await this.#attend(conversationId, (entered) => {
      entered.joined = true
    })
    if (!room) return
    await this.#watch()
    this.#arrived(room, conversationId, conversation.lastSeq)
    await this.#catchUp(conversationId)
  }

  /** Begins to hear of a conversation, what `enter` changes from the first event on; nothing when the socket is gone. */
  async #attend(conversationId: string, enter: (room: MemberRoom) => void): Promise<MemberRoom | undefined> {
    const known = this.#rooms.get(conversationId)
    if (known) {
      enter(known)
      return known
    }
    const { chat, workspaceId, faces } = this.#priyo
    const room = new MemberRoom(
      new Typists(this.#actor.userId, (userId, typing) => this.#voice.typing(conversationId, userId, typing)),
    )
    const { receipts } = await listReceipts(chat, reader(this.#actor), { conversationId })
    for (const receipt of receipts) room.mark(receipt)
    const members = (await membersOf(chat.db, workspaceId, [conversationId])).get(conversationId) ?? []
    for (const { userId } of members) room.members.add(userId)
    room.takesPart = room.members.has(this.#actor.userId)
    await faces.of(room.members)
    const listening = await this.#ears()
    if (this.#socket.disconnected) return undefined
    enter(room)
    this.#rooms.set(conversationId, room)
    await listening.follow(conversationId).catch((error: unknown) => {
      this.#rooms.delete(conversationId)
      throw error
    })
    return room
  }

  /** What moved while we were on our way in was announced to nobody here. */
  async #catchUp(conversationId: string): Promise<void> {
    const { receipts } = await listReceipts(this.#priyo.chat, reader(this.#actor), { conversationId })
    for (const receipt of receipts) await this.#tellReceipt(conversationId, receipt)
  }

  async #leave(conversationId: string): Promise<void> {
    const room = this.#rooms.get(conversationId)
    if (!room) return
    room.joined = false
    room.typists.close()
    if (room.awaits(this.#actor.userId)) await this.#watch()
    else await this.#drop(conversationId)
  }

  async #dropIfIdle(conversationId: string, room: MemberRoom): Promise<void> {
    if (!room.joined && !room.awaits(this.#actor.userId)) await this.#drop(conversationId)
  }

  async #drop(conversationId: string): Promise<void> {
    const room = this.#rooms.get(conversationId)
    if (!room) return
    this.#rooms.delete(conversationId)
    room.typists.close()
    const listening = await this.#ears()
    listening.unfollow(conversationId)
    await this.#watch()
  }

  async #send(payload: unknown): Promise<void> {
    await this.#moving
    const message = await send(this.#priyo, this.#actor, check(forms.message, payload), randomUUID())
    await this.#settled()
    // Sent is sent, whether or not its sender can be told whom it reaches.
    this.#inTurn(() => this.#trace(message)).catch((error: unknown) =>
      this.#priyo.door.log.debug({ err: error }, 'could not follow where a message arrives'),
    )
  }

  /** From now on this socket is told whom a message of its own reaches, in a room that it has joined or not. */
  async #trace({ id, seq, conversationId }: Message): Promise<void> {
    const isNew = !this.#rooms.has(conversationId)
    const room = await this.#attend(conversationId, (entered) => {
      const reached = entered.sent(id, seq, this.#actor.userId)
      if (reached.length > 0) this.#voice.delivered(conversationId, id, reached)
    })
    if (!room) return
    if (isNew) await this.#catchUp(conversationId)
    await this.#dropIfIdle(conversationId, room)
    const outside = [...this.#rooms].filter(([, one]) => !one.joined)
    for (const [forgotten] of outside.slice(0, -mostOutside)) await this.#drop(forgotten)
  }

  async #markRead({ messageId, conversationId }: Record<string, unknown>): Promise<void> {
    await this.#moving
    const [conversation, message] = [uuidOf(conversationId), uuidOf(messageId)]
    if (!conversation || !message) throw notFound()
    this.#reading.add(message)
    try {
      await markMessagesRead(this.#priyo.chat, reader(this.#actor), {
        conversationId: conversation,
        messageIds: [message],
      })
    } finally {
      await this.#settled()
      this.#reading.delete(message)
    }
  }

  async #type(id: unknown, typing: boolean): Promise<void> {
    await this.#moving
    const conversationId = uuidOf(id)
    if (!conversationId) throw notFound()
    const announce = () => setTyping(this.#priyo.chat, reader(this.#actor), { conversationId, typing })
    await (this.#rooms.get(conversationId)?.typists.say(typing, announce) ?? announce())
  }

  async #settled(): Promise<void> {
    const listening = await this.#ears()
    await listening.settled()
  }

  async #hear(event: Event): Promise<void> {
    if (event.type === 'presence.changed') return this.#voice.status(event.presence)
    if (!('conversationId' in event)) return
    const { conversationId } = event
    const room = this.#rooms.get(conversationId)
    if (!room) return
    switch (event.type) {
      case 'message.created':
        return this.#tellMessage(room, event.message)
      case 'receipt.moved':
        return this.#tellReceipt(conversationId, event.receipt)
      case 'typing.changed':
        if (room.joined) room.typists.hear(event.userId, event.typing)
        return
      case 'participant.joined':
        room.members.add(event.participant.userId)
        room.takesPart ||= event.participant.userId === this.#actor.userId
        return this.#watch()
      case 'participant.left':
        room.members.delete(event.userId)
        return event.userId === this.#actor.userId ? this.#drop(conversationId) : this.#watch()
      case 'conversation.updated': {
        const { status } = event.changes
        if (status === 'closed' || status === 'archived') await this.#drop(conversationId)
        return
      }
      case 'conversation.deleted':
      case 'conversation.lost':
        return this.#drop(conversationId)
    }
  }

  async #tellMessage(room: MemberRoom, message: Message): Promise<void> {
    if (!room.joined || !isShown(message)) return
    await this.#voice.message(message)
    if (message.senderId !== this.#actor.userId) {
      this.#arrived(room, message.conversationId, message.seq)
    }
  }

  #arrived(room: MemberRoom, conversationId: string, seq: number): void {
    if (room.takesPart) this.#priyo.arrivals.note({ conversationId, userId: this.#actor.userId, seq })
  }

  async #tellReceipt(conversationId: string, receipt: Receipt): Promise<void> {
    const room = this.#rooms.get(conversationId)
    if (!room) return
    const before = room.mark(receipt)
    if (receipt.userId !== this.#actor.userId) {
      for (const { id, reached } of room.reached(receipt.userId)) {
        this.#voice.delivered(conversationId, id, reached)
      }
    }
    if (!room.joined) return this.#dropIfIdle(conversationId, room)
    const spans = newSpans(before, readSpans(receipt))
    if (spans.length > 0) await this.#tellRead(conversationId, receipt.userId, spans)
  }

  async #tellRead(conversationId: string, userId: string, spans: ReturnType<typeof newSpans>): Promise<void> {
    const me = reader(this.#actor)
    const readings = await this.#priyo.readings.find(this.#priyo, me, conversationId, userId, spans)
    const isOwn = userId === this.#actor.userId
    const news = readings.filter(({ messageId }) => !(isOwn && this.#reading.has(messageId)))
    this.#voice.read(conversationId, userId, news)
  }

  async #watch(): Promise<void> {
    const listening = await this.#ears()
    const joined = [...this.#rooms.values()].filter((room) => room.joined)
    const others = new Set(joined.flatMap((room) => [...room.members]))
    others.delete(this.#actor.userId)
    this.#voice.watch(listening.watch([...others]))
  }
}

function idOfRoom(payload: unknown): string {
  const id = uuidOf(conversationIn(payload))
  if (!id) throw notFound()
  return id
}
