import type { ErrorCode, Event, Presence } from '@parley/protocol'
import type { Socket } from 'socket.io'
import type { Actor } from '../../chat/actor.ts'
import { listUndelivered } from '../../chat/arrivals.ts'
import { correspondentsOf } from '../../chat/directs.ts'
import { getMessage } from '../../chat/history.ts'
import { editMessage, retractMessage, setReaction } from '../../chat/message-changes.ts'
import { countUnread } from '../../chat/summaries.ts'
import { setTyping } from '../../chat/typing.ts'
import type { Listening } from '../door.ts'
import { findConversation, readPair } from './conversations.ts'
import { enterAgain, type Guest } from './entrance.ts'
import { pairIdOf } from './pair-ids.ts'
import { noMessage, Refusal, refusalOf, texts } from './refusals.ts'
import { prepare, type Ready, send } from './sending.ts'
import type { Told } from './told.ts'
import {
  isOnline,
  messageEvent,
  readConversationId,
  readDeletion,
  readEdit,
  readReaction,
  readSend,
  statusOf,
} from './translate.ts'
import type { TutorGo } from './tutorgo.ts'

/** What was written while somebody was away; of more, history has the rest. */
const longestQueue = 200
/** A client that says more before anything is answered is refused. */
const longestLine = 256
const mostSentRemembered = 256

/**
 * One socket: what it says is done in the order in which it came, and what happens is told once it has been greeted.
 * It is heard before it is greeted, so what it says at once is not lost either.
 */
export class Live {
  readonly #tutorgo: TutorGo
  readonly #socket: Socket
  readonly #leave: () => void
  readonly #ready = Promise.withResolvers<void>()
  readonly #joined = new Set<string>()
  readonly #queued = new Set<string>()
  readonly #sent = new Set<string>()
  readonly #online = new Map<string, boolean>()
  #guest: Guest
  #watching: Promise<void> = Promise.resolve()
  #listening: Listening | undefined
  #line: Promise<void> = this.#ready.promise
  #inLine = 0
  #unflushed = 0
  #flush: PromiseWithResolvers<void> | undefined
  #isOver = false

  constructor(tutorgo: TutorGo, socket: Socket, guest: Guest, leave: () => void) {
    this.#tutorgo = tutorgo
    this.#socket = socket
    this.#guest = guest
    this.#leave = leave
  }

  /** Begins to hear; what is heard waits for the greeting. */
  async open(): Promise<void> {
    const listening = await this.#tutorgo.door.listen(
      {
        actor: this.#guest.actor,
        hear: (event) => this.#ready.promise.then(() => this.#hear(event)),
        reauthenticate: () => this.#lookAgain(),
        ended: () => {
          this.#socket.emit('error', { message: texts.badToken })
          this.#socket.disconnect()
          // Also when too much waited for somebody who does not read.
          if (this.#unflushed > 0) this.#terminate()
          this.end()
        },
      },
      { feed: true },
    )
    if (this.#isOver) return listening.end()
    this.#listening = listening
  }

  /** The client is in. Its events have handlers from this very moment. */
  begin(): void {
    const socket = this.#socket
    socket.on('disconnect', () => this.end())
    socket.conn.on('flush', this.#flushed)
    this.#on('send-message', texts.notSent, (payload, ack) => this.#send(payload, ack))
    this.#on('join-conversation', failedTo('join conversation'), (payload) => this.#join(payload))
    this.#on('leave-conversation', failedTo('leave conversation'), (payload) => this.#leaveRoom(payload))
    this.#on('typing-start', failedTo('tell that you type'), (payload) => this.#type(payload, true))
    this.#on('typing-stop', failedTo('tell that you type'), (payload) => this.#type(payload, false))
    this.#on('edit-message', failedTo('edit message'), (payload) => this.#edit(payload), {
      forbidden: new Refusal(403, texts.notYourEdit),
    })
    this.#on('delete-message', failedTo('delete message'), (payload) => this.#delete(payload), {
      forbidden: new Refusal(403, texts.notYourDeletion),
    })
    this.#on('react-message', failedTo('react to message'), (payload) => this.#react(payload))
    this.#greet().catch((error: unknown) => {
      this.#tutorgo.door.log.warn({ err: error }, 'a socket could not be greeted')
      // Without saying that it was meant: the client comes back by itself.
      socket.conn.close()
    })
  }

  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#socket.conn.off('flush', this.#flushed)
    this.#flushed()
    this.#listening?.end()
    this.#leave()
  }

  async #greet(): Promise<void> {
    const { chat, directory, arrivals, door } = this.#tutorgo
    const { actor, id } = this.#guest
    await this.#watch()
    const arrived = arrivals.unwritten()
    const undelivered = await listUndelivered(chat, actor, { kind: 'direct', limit: longestQueue })
    const messages = undelivered.filter(
      ({ conversationId, seq }) => !arrived({ conversationId, userId: actor.userId, seq }),
    )
    const pairs = await directory.pairsOf(messages.map((message) => message.conversationId))
    const { messages: unreadCount } = await countUnread(chat, actor, { kind: 'direct' })
    if (this.#isOver) return
    const queuedMessages = messages.flatMap((message) => {
      const pair = pairs.get(message.conversationId)
      return pair ? [messageEvent(message, pair, door.mount.base)] : []
    })
    for (const message of messages) this.#queued.add(message.id)
    const timestamp = new Date().toISOString()
    this.#tell('connected', { userId: id, socketId: this.#socket.id, timestamp, queuedMessages, unreadCount })
    for (const { conversationId, seq } of messages)
      arrivals.note({ conversationId, userId: actor.userId, seq })
    this.#ready.resolve()
  }

  async #lookAgain(): Promise<Actor> {
    const actor = await enterAgain(this.#tutorgo, this.#guest)
    this.#guest = { ...this.#guest, actor }
    // A booking made or ended changes whose coming and going is told.
    this.#ready.promise
      .then(() => this.#watch({ tell: true }))
      .catch((error: unknown) =>
        this.#tutorgo.door.log.warn({ err: error }, 'could not look again at whom somebody knows'),
      )
    return actor
  }

  async #hear(event: Event): Promise<void> {
    await this.#room()
    if (event.type === 'presence.changed') return this.#tellPresence(event.presence)
    if (event.type === 'participant.joined') await this.#watch({ tell: true })
    const told = await this.#tutorgo.translator.of(event)
    if (told && !this.#isOver) this.#tellOf(told)
  }

  #tellOf(told: Told): void {
    const me = this.#guest.actor.userId
    switch (told.what) {
      case 'message':
        return told.senderId === me ? this.#tellSent(told) : this.#tellNew(told)
      case 'change':
        return this.#tell(told.name, told.payload)
      case 'typing':
        if (told.typistId !== me) this.#tell(told.name, told.payload, { isWeather: true })
        return
      case 'read':
        if (told.readerId === me) return
        for (const messageId of told.messageIds) this.#tell('message-read', { messageId })
    }
  }

  #tellSent({ messageId, pair, event }: Extract<Told, { what: 'message' }>): void {
    if (this.#sent.has(messageId)) return
    this.#sent.add(messageId)
    if (this.#sent.size > mostSentRemembered) this.#sent.delete(this.#sent.values().next().value ?? '')
    this.#tell('message-sent', event)
    if (this.#joined.has(pair.id)) this.#tell('message', event)
  }

  #tellNew({ messageId, pair, event, seq }: Extract<Told, { what: 'message' }>): void {
    if (this.#queued.has(messageId)) return
    this.#tell('new-message', event)
    this.#tell('receive-message', event)
    if (this.#joined.has(pair.id)) this.#tell('message', event)
    const { conversationId } = pair
    if (!this.#isOver) this.#tutorgo.arrivals.note({ conversationId, userId: this.#guest.actor.userId, seq })
  }

  /**
   * Hears of everybody whom this person writes with or may write to; with `tell`, says who of the new ones is here. One
   * look after the other, so that the last one counts.
   */
  #watch({ tell = false }: { tell?: boolean } = {}): Promise<void> {
    const look = this.#watching.then(() => this.#meet(tell))
    this.#watching = look.catch(() => {})
    return look
  }

  async #meet(tell: boolean): Promise<void> {
    const known = await correspondentsOf(this.#tutorgo.chat, this.#guest.actor)
    await this.#tutorgo.directory.idsOf(known)
    if (this.#isOver) return
    const met = new Set(known)
    for (const userId of this.#online.keys()) if (!met.has(userId)) this.#online.delete(userId)
    for (const presence of this.#listening?.watch(known) ?? []) {
      if (this.#online.has(presence.userId)) continue
      this.#online.set(presence.userId, false)
      if (!tell) this.#online.set(presence.userId, isOnline(presence.state))
      else await this.#tellPresence(presence)
    }
  }

  async #tellPresence(presence: Presence): Promise<void> {
    const before = this.#online.get(presence.userId)
    const now = isOnline(presence.state)
    if (before === undefined || before === now || presence.state === 'unknown') return
    this.#online.set(presence.userId, now)
    const userId = (await this.#tutorgo.directory.idsOf([presence.userId])).get(presence.userId)
    if (userId === undefined) return
    this.#tell(now ? 'user-online' : 'user-offline', { userId }, { isWeather: true })
    this.#tell('user-status', statusOf(userId, presence), { isWeather: true })
  }

  /** The next is looked at while this one is being written; both stay in order. */
  async #send(payload: unknown, ack: Ack): Promise<void> {
    const ready = await prepare(this.#tutorgo, this.#guest, readSend(payload))
    this.#write(ready, ack).catch((error: unknown) => this.#fail(error, texts.notSent, ack))
  }

  async #write(ready: Ready, ack: Ack): Promise<void> {
    const message = await send(this.#tutorgo, this.#guest, ready)
    const { directory, door } = this.#tutorgo
    const pair = await directory.pairOf(message.conversationId)
    if (!pair) return
    const event = messageEvent(message, pair, door.mount.base)
    ack?.({ success: true, message: event })
    if (ready.wanted.clientMessageId === null) return
    // Sent before under this key, so nothing new is heard; the answer is the same all the same.
    await this.#listening?.settled()
    this.#tellSent({
      what: 'message',
      pair,
      messageId: message.id,
      senderId: message.senderId,
      seq: message.seq,
      event,
    })
  }

  async #join(payload: unknown): Promise<void> {
    const conversationId = await this.#pairIdFrom(payload)
    this.#joined.add(conversationId)
    this.#tell('joined-conversation', { conversationId, timestamp: new Date().toISOString() })
  }

  async #leaveRoom(payload: unknown): Promise<void> {
    const conversationId = await this.#pairIdFrom(payload)
    this.#joined.delete(conversationId)
    this.#tell('left-conversation', { conversationId, timestamp: new Date().toISOString() })
  }

  async #pairIdFrom(payload: unknown): Promise<string> {
    const { otherId } = await readPair(this.#tutorgo, this.#guest, readConversationId(payload))
    return pairIdOf(this.#guest.id, otherId)
  }

  async #type(payload: unknown, typing: boolean): Promise<void> {
    const direct = await findConversation(this.#tutorgo, this.#guest, readConversationId(payload))
    if (direct) await setTyping(this.#tutorgo.chat, this.#guest.actor, { conversationId: direct.id, typing })
  }

  async #edit(payload: unknown): Promise<void> {
    const { messageId, body } = readEdit(payload)
    await this.#requireMessage(messageId)
    await editMessage(this.#tutorgo.chat, this.#guest.actor, { messageId, body })
  }

  async #delete(payload: unknown): Promise<void> {
    const { messageId } = readDeletion(payload)
    await this.#requireMessage(messageId)
    await retractMessage(this.#tutorgo.chat, this.#guest.actor, { messageId })
  }

  async #react(payload: unknown): Promise<void> {
    const reaction = readReaction(payload)
    await this.#requireMessage(reaction.messageId)
    await setReaction(this.#tutorgo.chat, this.#guest.actor, reaction)
  }

  /** A message between two people, one of whom this is. */
  async #requireMessage(messageId: string): Promise<void> {
    const { messages, chat, directory } = this.#tutorgo
    if (messages.take(this.#guest.actor.userId) > 0) throw new Refusal(429, texts.tooManyMessages)
    const { conversationId } = await getMessage(chat, this.#guest.actor, { messageId })
    if (!(await directory.pairOf(conversationId))) throw noMessage()
  }

  #on(
    name: string,
    fault: string,
    work: (payload: unknown, ack: Ack) => Promise<void>,
    instead: Partial<Record<ErrorCode, Refusal>> = {},
  ): void {
    this.#socket.on(name, (...args: unknown[]) => {
      const last = args.at(-1)
      const ack = typeof last === 'function' ? (last as Ack) : undefined
      if (this.#inLine >= longestLine) return this.#fail(new Refusal(429, texts.tooManyMessages), fault, ack)
      this.#inLine++
      this.#line = this.#line
        .then(() => (this.#isOver ? undefined : work(args[0] === last && ack ? undefined : args[0], ack)))
        .catch((error: unknown) => this.#fail(error, fault, ack, instead))
        .finally(() => {
          this.#inLine--
        })
    })
  }

  #fail(error: unknown, fault: string, ack: Ack, instead: Partial<Record<ErrorCode, Refusal>> = {}): void {
    const { refusal, isExpected } = refusalOf(error, fault, instead)
    if (!isExpected) this.#tutorgo.door.log.error({ err: error }, 'an event failed')
    ack?.({ success: false, message: refusal.message })
    this.#tell('error', { message: refusal.message })
  }

  /** What happens waits for those who do not read, up to the length of their line; what they ask for themselves does not. */
  async #room(): Promise<void> {
    while (this.#unflushed > this.#tutorgo.chat.config.outboxBytes / 4 && !this.#isOver) {
      this.#flush ??= Promise.withResolvers<void>()
      await this.#flush.promise
    }
  }

  /** Bounded: who comes and types is left out for those who do not read, and then they are ended. */
  #tell(name: string, payload: Record<string, unknown>, { isWeather = false } = {}): void {
    if (this.#isOver) return
    const { outboxBytes } = this.#tutorgo.chat.config
    if (isWeather && this.#unflushed > outboxBytes / 2) return
    // Counted first: where nothing waits, it is flushed while it is emitted.
    this.#unflushed += sizeOf(payload)
    this.#socket.emit(name, payload)
    if (this.#unflushed > outboxBytes) this.#terminate()
  }

  /** Without the handshake of closing, which would wait for somebody who does not read. */
  #terminate(): void {
    const { conn } = this.#socket
    this.end()
    conn.close(true)
    // After an upgrade the first request was another connection, which browsers share.
    if (!conn.upgraded) conn.request.socket.destroy()
  }

  #flushed = () => {
    this.#unflushed = 0
    this.#flush?.resolve()
    this.#flush = undefined
  }
}

type Ack = ((answer: Record<string, unknown>) => void) | undefined

const failedTo = (act: string) => `Failed to ${act}. Please try again.`

/** About what it weighs on the wire; only the text of messages can be long. */
function sizeOf(payload: Record<string, unknown>): number {
  const { message, queuedMessages } = payload
  const queue = Array.isArray(queuedMessages) ? queuedMessages.length * 500 : 0
  return 200 + (typeof message === 'string' ? message.length : 0) + queue
}
