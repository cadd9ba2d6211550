import type { Event, Presence } from '@parley/protocol'
import { acquaintancesOf } from '../../chat/acquaintance.ts'
import { isStaff } from '../../chat/actor.ts'
import type { Caller } from '../../chat/sessions.ts'
import type { Door, Listening } from '../door.ts'
import { missedSince } from './catch-up.ts'
import { names } from './names.ts'
import { forReader } from './reading.ts'
import type { OpenSocket } from './sockets.ts'
import { openSockets } from './sockets.ts'
import { type Claims, type Holder, holderOf } from './tokens.ts'
import type { Frame, Translator } from './told.ts'

/** Where frames go: a WebSocket, or an event stream. */
export type Outlet = { send(frame: Frame): void; ended(): void }

/** A client that stops without saying so is heard to stop after this while. */
const typingMs = 5_000

/**
 * One connected client: hears its conversations, who of its acquaintances is here, and who types. Presence is told
 * when it differs from what this client was told last.
 */
export class Live implements OpenSocket {
  readonly address: string | null
  readonly #door: Door
  readonly #translator: Translator
  readonly #claims: Claims
  readonly #outlet: Outlet
  readonly #ready = Promise.withResolvers<void>()
  readonly #online = new Map<string, boolean>()
  readonly #typing = new Map<string, NodeJS.Timeout>()
  #holder: Holder
  #listening: Listening | undefined
  #isOver = false

  constructor(
    door: Door,
    translator: Translator,
    outlet: Outlet,
    claims: Claims,
    { holder, address }: { holder: Holder; address: string | null },
  ) {
    this.#door = door
    this.#translator = translator
    this.#outlet = outlet
    this.#claims = claims
    this.#holder = holder
    this.address = address
  }

  get holder(): Holder {
    return this.#holder
  }

  /**
   * Listens first and greets then, with what this client has missed if it says where it was; what happens meanwhile
   * waits until that is out.
   */
  async open(since: string | null = null): Promise<void> {
    const caller: Caller = { address: this.address, origin: null }
    const listening = await this.#door.listen(
      {
        actor: this.#holder.actor,
        hear: (event) => this.#ready.promise.then(() => this.#hear(event)),
        reauthenticate: async () => {
          this.#holder = await holderOf(this.#door, this.#claims, caller)
          return this.#holder.actor
        },
        ended: () => {
          this.close()
          this.#outlet.ended()
        },
      },
      { feed: true },
    )
    if (this.#isOver) return listening.end()
    this.#listening = listening
    openSockets(this.#door).add(this)
    try {
      await this.#greet()
      if (since !== null) await this.#catchUp(since)
    } catch (error) {
      this.close()
      throw error
    }
    this.#ready.resolve()
  }

  close(): void {
    this.#isOver = true
    this.#listening?.end()
    openSockets(this.#door).delete(this)
    for (const timer of this.#typing.values()) clearTimeout(timer)
    this.#typing.clear()
  }

  met(userId: string): void {
    if (this.#online.has(userId)) return
    this.#ready.promise
      .then(() => this.#tellPresence(this.#watch([...this.#online.keys(), userId])))
      .catch((error: unknown) => this.#door.log.warn({ err: error }, 'could not tell who has come'))
  }

  async #greet(): Promise<void> {
    const { userId } = this.#holder.actor
    const known = await acquaintancesOf(this.#door.chat, this.#holder.actor)
    const here = this.#watch(known).filter(isOnline)
    const ids = await names.ofAll(
      this.#door,
      'person',
      here.map((presence) => presence.userId),
    )
    const usersOnline: Record<string, true> = { [this.#holder.id]: true }
    for (const presence of here) {
      this.#online.set(presence.userId, true)
      usersOnline[ids.get(presence.userId) ?? ''] = true
    }
    this.#online.set(userId, true)
    this.#outlet.send({ type: 'PRESENCE_SNAPSHOT', usersOnline })
    this.#outlet.send({ type: 'PRESENCE_UPDATE', userId: this.#holder.id, isOnline: true })
    this.#outlet.send({ type: 'WELCOME', message: 'WebSocket connected!' })
    const mine = new Set(known)
    for (const other of openSockets(this.#door)) {
      if (other !== this && mine.has(other.holder.actor.userId)) other.met(userId)
    }
  }

  async #catchUp(since: string): Promise<void> {
    const missed = await missedSince(this.#door, this.#translator, this.#holder.actor, since)
    for (const frame of missed) this.#send(frame)
  }

  /** Frames are the same for everybody, but for links to files. */
  #send(frame: Frame): void {
    const { message } = frame
    const isMessage = typeof message === 'object' && message !== null
    this.#outlet.send(
      isMessage ? { ...frame, message: forReader(this.#door, message, this.#holder.actor) } : frame,
    )
  }

  /** Hears of these people from now on; who was not known before counts as away until told otherwise. */
  #watch(userIds: readonly string[]): Presence[] {
    for (const userId of userIds) if (!this.#online.has(userId)) this.#online.set(userId, false)
    return this.#listening?.watch([...this.#online.keys()]) ?? []
  }

  async #hear(event: Event): Promise<void> {
    if (event.type === 'presence.changed') return this.#tellPresence([event.presence])
    // A new chat concerns those who answer; whoever opened it knows.
    if (event.type !== 'conversation.created' || isStaff(this.#holder.actor)) {
      for (const frame of await this.#translator.of(event)) this.#send(frame)
    }
    if (event.type === 'typing.changed') await this.#healTyping(event)
    if (event.type === 'participant.joined') await this.#meet(event.participant.userId)
  }

  /** Somebody new in one of my conversations, or I in one of theirs: hear of them too, and say who is here already. */
  async #meet(userId: string): Promise<void> {
    const { actor } = this.#holder
    const known = userId === actor.userId ? await acquaintancesOf(this.#door.chat, actor) : [userId]
    if (known.every((id) => this.#online.has(id))) return
    await this.#tellPresence(this.#watch(known))
  }

  async #tellPresence(found: readonly Presence[]): Promise<void> {
    const changed = found.filter(
      (presence) =>
        presence.state !== 'unknown' && (this.#online.get(presence.userId) ?? false) !== isOnline(presence),
    )
    for (const presence of changed) this.#online.set(presence.userId, isOnline(presence))
    const ids = await names.ofAll(
      this.#door,
      'person',
      changed.map((presence) => presence.userId),
    )
    for (const presence of changed) {
      const userId = ids.get(presence.userId)
      if (userId) this.#outlet.send({ type: 'PRESENCE_UPDATE', userId, isOnline: isOnline(presence) })
    }
  }

  async #healTyping(event: Extract<Event, { type: 'typing.changed' }>): Promise<void> {
    const key = `${event.conversationId} ${event.userId}`
    clearTimeout(this.#typing.get(key))
    this.#typing.delete(key)
    if (!event.typing || this.#isOver) return
    const frames = await this.#translator.of({ ...event, typing: false })
    const timer = setTimeout(() => {
      this.#typing.delete(key)
      for (const frame of frames) this.#outlet.send(frame)
    }, typingMs)
    timer.unref()
    this.#typing.set(key, timer)
  }
}

const isOnline = ({ state }: Presence) => state === 'online' || state === 'away'
