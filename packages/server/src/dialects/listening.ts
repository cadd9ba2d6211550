import type { Event } from '@parley/protocol'
import { standingOf } from '../chat/access.ts'
import type { Actor } from '../chat/actor.ts'
import { Failure } from '../chat/failure.ts'
import { type Participation, participatingIn } from '../chat/participants.ts'
import type { Parley } from '../parley.ts'
import { Again } from '../realtime/again.ts'
import type { Frame } from '../realtime/frame.ts'
import type { Listener } from '../realtime/listener.ts'
import type { Ears, Listening } from './door.ts'

const longestBacklog = 10_000

/** Connects a dialect's socket to the hub. Translating may take a look at the store, so what is heard waits in line. */
export async function listen(parley: Parley, ears: Ears, { feed }: { feed: boolean }): Promise<Listening> {
  const ear = new Ear(parley, ears, feed)
  await ear.begin()
  return ear
}

class Ear implements Listener, Listening {
  actor: Actor
  readonly hearsAll = true
  readonly #parley: Parley
  readonly #ears: Ears
  readonly #feed: boolean
  #line: Promise<void> = Promise.resolve()
  #waiting = 0
  #isOver = false
  readonly #access = new Again(() => this.#lookAgain())

  constructor(parley: Parley, ears: Ears, feed: boolean) {
    this.#parley = parley
    this.#ears = ears
    this.#feed = feed
    this.actor = ears.actor
  }

  async begin(): Promise<void> {
    await this.#parley.hub.attach(this, this.actor, () => this.#participating())
    this.#parley.presence.arrive(this)
  }

  async follow(conversationId: string, after?: number): Promise<void> {
    const { conversation, sees } = await standingOf(this.#parley.chat.db, this.actor, conversationId)
    if (this.#isOver) return
    const where = { workspaceId: this.actor.workspaceId, id: conversationId }
    await this.#parley.hub.follow(this, where, after ?? conversation.last_seq, sees)
  }

  unfollow(conversationId: string): void {
    this.#parley.hub.unfollow(this, conversationId)
  }

  watch(userIds: readonly string[]) {
    this.#parley.presence.watch(this, userIds)
    return userIds.map((userId) => this.#parley.presence.of(userId))
  }

  settled(): Promise<void> {
    return this.#line
  }

  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#parley.hub.detach(this)
    this.#parley.presence.leave(this)
  }

  hear(frame: Frame): void {
    this.#inLine(() => this.#ears.hear(frame.event))
  }

  gained(conversationId: string): void {
    this.#inLine(() => this.#ears.gained?.(conversationId))
  }

  async drained(): Promise<void> {
    await this.#line
  }

  recheck(): void {
    if (!this.#isOver) this.#access.ask()
  }

  #inLine(work: () => void | Promise<void>): void {
    if (this.#isOver) return
    if (this.#waiting >= longestBacklog) return this.#over()
    this.#waiting++
    this.#line = this.#line
      .then(() => (this.#isOver ? undefined : work()))
      .catch((error: unknown) => {
        if (!(error instanceof Failure))
          this.#parley.log.error({ err: error }, 'an event could not be told in a dialect')
      })
      .finally(() => {
        this.#waiting--
      })
  }

  async #lookAgain(): Promise<void> {
    try {
      this.actor = await this.#ears.reauthenticate()
      await this.#parley.hub.attach(this, this.actor, async () => {
        const participating = await this.#participating()
        return this.#isOver ? undefined : participating
      })
      if (this.#isOver) return this.#parley.hub.detach(this)
      for (const conversationId of this.#parley.hub.followed(this)) await this.#dropIfLost(conversationId)
    } catch (error) {
      if (this.#isOver) return
      if (isRefusal(error)) return this.#over()
      // The store is away: an outage ends no connection (promise G12), so the question is asked again.
      setTimeout(() => this.recheck(), 1_000).unref()
    }
  }

  async #dropIfLost(conversationId: string): Promise<void> {
    try {
      await standingOf(this.#parley.chat.db, this.actor, conversationId)
    } catch (error) {
      if (!isRefusal(error)) throw error
      this.unfollow(conversationId)
      const lost: Event = { type: 'conversation.lost', conversationId, reason: 'revoked' }
      this.#inLine(() => this.#ears.hear(lost))
    }
  }

  #over(): void {
    this.end()
    this.#ears.ended()
  }

  async #participating(): Promise<Participation[] | null> {
    return this.#feed ? participatingIn(this.#parley.chat, this.actor) : null
  }
}

/** An answer of the store, other than that it cannot say. */
const isRefusal = (error: unknown) => error instanceof Failure && !error.retry
