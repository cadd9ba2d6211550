import { randomUUIDv7 } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import {
  type CloseReason,
  type ControlFrame,
  type Event,
  type Hello,
  type InputOf,
  limits,
  protocolVersion,
  type Visibility,
} from '@parley/protocol'
import { standingOf } from '../chat/access.ts'
import { visiblePeople } from '../chat/acquaintance.ts'
import { type Actor, wayInOf } from '../chat/actor.ts'
import { linkedEvent } from '../chat/attachments.ts'
import { Failure, knownFailure } from '../chat/failure.ts'
import { requireOrigin } from '../chat/origins.ts'
import { participatingIn } from '../chat/participants.ts'
import { authenticate, type Caller } from '../chat/sessions.ts'
import { changesSince, getConversation } from '../chat/summaries.ts'
import type { Parley, Peer } from '../parley.ts'
import { checkCommand, readCommand, readFrame } from '../validation.ts'
import { Again } from './again.ts'
import { type Command, Commands } from './commands.ts'
import { Frame } from './frame.ts'
import type { Listener } from './listener.ts'

/** What a transport gives a connection: a way to write, to know how much waits, and to end. */
export type Wire = {
  send(data: Buffer | string): void
  /** Bytes given to `send` that have not left yet. */
  queued(): number
  /** Ends politely. */
  close(reason: CloseReason): void
  /** Ends at once, without trying to flush: a peer that does not read would keep its queue for ever. */
  terminate(reason: CloseReason): void
}

type State =
  | { name: 'greeting'; deadline: NodeJS.Timeout }
  /** Commands may come before `welcome` has left; they begin after it. */
  | { name: 'joining'; early: Command[] }
  /** `told` is the list position that this peer has heard up to while it still hears what it missed. */
  | { name: 'live'; token: string; feed: boolean; told: string | null }
  | { name: 'closed' }

/**
 * One peer on any realtime transport. It greets (hello, within a limit), joins (what it missed is read), lives (commands
 * in, frames out) and closes. Everything out goes through `#send`, where the queue is bounded (promise G8).
 */
export class Connection implements Listener, Peer {
  readonly id = randomUUIDv7()
  readonly #parley: Parley
  readonly #wire: Wire
  readonly #caller: Caller
  #state: State
  #actor: Actor | undefined
  readonly #commands: Commands
  #heardAt = performance.now()
  #sent = 0
  /** Made when it is first needed: most connections never do, and there may be ten thousand. */
  #access: Again | undefined
  #gained: Set<string> | undefined
  #telling: Promise<void> | undefined
  /** Conversations in which this person takes part no longer, until it is known whether they may still see them. */
  #parted: Set<string> | undefined
  /** What is about to be followed: what the feed has of it meanwhile is left to the reading (rule R10). */
  #starting: Set<string> | undefined

  constructor(parley: Parley, wire: Wire, caller: Caller) {
    this.#parley = parley
    this.#wire = wire
    this.#caller = caller
    this.#commands = new Commands(parley, this)
    const deadline = setTimeout(() => this.close('hello_timeout'), limits.helloMs)
    this.#state = { name: 'greeting', deadline }
    parley.peers.add(this)
  }

  get actor(): Actor {
    if (!this.#actor) throw new Error('Nobody has said hello on this connection yet')
    return this.#actor
  }

  get isLive(): boolean {
    return this.#state.name === 'live'
  }

  /**
   * Whether this is the session, or the key, that opened it. Another one of the same person may not do as much: in a widget
   * somebody of the team is a visitor.
   */
  belongsTo(actor: Actor): boolean {
    const own = this.#actor
    if (own?.workspaceId !== actor.workspaceId || own.userId !== actor.userId) return false
    return wayInOf(own) === wayInOf(actor)
  }

  /** A text frame from the peer. */
  receive(text: string): void {
    this.#heardAt = performance.now()
    const frame = readFrame(text)
    if (!frame || (frame.kind === 'hello') !== (this.#state.name === 'greeting'))
      return this.close('protocol_error')
    if (frame.kind === 'hello') this.#greet(frame.hello)
    else if (frame.kind === 'command') this.#command(frame)
  }

  /** The peer is there although it said nothing: a poll was asked for. */
  touch(): void {
    this.#heardAt = performance.now()
  }

  hear(frame: Frame): void {
    if (this.#starting && 'seq' in frame.event && this.#starting.has(frame.event.conversationId)) return
    if (isWeather(frame.event) && this.#wire.queued() > this.#parley.chat.config.outboxBytes / 2) return
    this.#sent++
    this.#send(this.#encode(frame))
    if (frame.event.type === 'conversation.deleted') {
      // Looking again would find that it may not be seen any more, and say so as if a right had ended.
      this.#parley.hub.unfollow(this, frame.event.conversationId)
      this.#tellLost(frame.event.conversationId, 'deleted')
    }
  }

  /** The same bytes for everybody, but for files: links to them are signed for one reader. */
  #encode(frame: Frame): Buffer | string {
    const event = linkedEvent(this.#parley.chat, frame.event, this.actor)
    return event === frame.event ? frame.bytes : JSON.stringify(event)
  }

  get isCongested(): boolean {
    return this.#state.name !== 'closed' && this.#wire.queued() > this.#parley.chat.config.outboxBytes / 4
  }

  async drained(): Promise<void> {
    while (this.isCongested) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** The current row of a conversation that came into view; several at once are told together, in the next turn. */
  gained(conversationId: string): Promise<void> {
    this.#gained ??= new Set()
    this.#gained.add(conversationId)
    this.#telling ??= new Promise(setImmediate).then(() => this.#tellGained())
    return this.#telling
  }

  /** Looks again at who this is and what they may see: a session may have ended, an inbox been taken away. */
  recheck(): Promise<void> {
    this.#access ??= new Again(() => this.#lookAgain())
    return this.#access.ask()
  }

  parted(conversationId: string): void {
    this.#parted ??= new Set()
    this.#parted.add(conversationId)
    this.recheck()
  }

  reap(): void {
    if (this.#state.name !== 'live') return
    if (performance.now() - this.#heardAt > limits.deadPeerMs) this.close('peer_silent')
  }

  /** Called by the heartbeat clock. `cursor` is the list position this node has told everybody up to. */
  beat(cursor: string): void {
    if (this.#state.name !== 'live') return
    this.tell({ type: 'heartbeat', cursor: this.#state.told ?? cursor, sent: this.#sent })
  }

  /** Asks the peer to come back elsewhere: part of a graceful stop (promise G10). */
  sayGoodbye(withinMs: number): void {
    this.tell({ type: 'goodbye', reason: 'restarting', withinMs })
  }

  get hasUnsent(): boolean {
    return this.#wire.queued() > 0
  }

  get isBusy(): boolean {
    return this.#commands.areUnderWay
  }

  close(reason: CloseReason): void {
    if (this.#state.name === 'closed') return
    this.#leave()
    this.#wire.close(reason)
  }

  /** The transport is gone already. */
  closed(): void {
    this.#leave()
  }

  #leave(): void {
    if (this.#state.name === 'closed') return
    if (this.#state.name === 'greeting') clearTimeout(this.#state.deadline)
    this.#state = { name: 'closed' }
    this.#parley.peers.delete(this)
    if (!this.#actor) return
    this.#parley.hub.detach(this)
    this.#parley.presence.leave(this)
  }

  #greet(hello: Hello): void {
    if (this.#state.name === 'greeting') clearTimeout(this.#state.deadline)
    this.#state = { name: 'joining', early: [] }
    this.#join(hello).catch((error: unknown) => {
      if (error instanceof Failure) return this.close(closeReasonOf(error))
      this.#parley.log.error({ err: error }, 'hello failed')
      this.close('restarting')
    })
  }

  async #join(hello: Hello): Promise<void> {
    const { hub, chat, presence } = this.#parley
    const actor = await authenticate(chat, hello.token, this.#caller)
    await requireOrigin(chat, actor, this.#caller)
    const feed = hello.feed ?? true
    const { follow = [] } = hello
    let early: Command[] = []
    // Listening comes before reading what was missed, so that nothing falls between the two.
    await hub.attach(this, actor, async () => {
      const participating = feed ? await participatingIn(chat, actor) : null
      if (this.#state.name !== 'joining') return undefined
      this.#actor = actor
      early = this.#state.early
      if (follow.length > 0) this.#starting = new Set(follow.map(({ conversationId }) => conversationId))
      return participating
    })
    if (this.#state.name !== 'joining') return hub.detach(this)
    presence.arrive(this)
    const live = { name: 'live' as const, token: hello.token, feed, told: hello.cursor ?? null }
    this.#state = live
    this.tell({
      type: 'welcome',
      connectionId: this.id,
      userId: actor.userId,
      cursor: hello.cursor ?? this.#parley.sweep.cursor,
      heartbeatMs: limits.heartbeatMs,
      protocol: protocolVersion,
    })
    for (const command of early) this.#command(command)
    if (hello.cursor) await this.#resumeList(hello.cursor)
    live.told = null
    await Promise.all(follow.map(({ conversationId, after }) => this.#follow(conversationId, after)))
  }

  async #resumeList(cursor: string): Promise<void> {
    const changes = await this.#changes(cursor)
    if (changes.outcome === 'reset') {
      this.tell({ type: 'reset', conversationId: null, reason: changes.reason })
      return
    }
    for (const summary of changes.summaries) {
      this.hear(new Frame({ type: 'conversation.changed', summary }))
      // Rows with long last messages are more than may wait for one connection.
      if (this.isCongested) await this.drained()
    }
    for (const conversationId of changes.lost) this.#tellLost(conversationId, 'left')
  }

  /** A cursor that we cannot read is one that we cannot resume. */
  async #changes(cursor: string): ReturnType<typeof changesSince> {
    try {
      return await changesSince(this.#parley.chat, this.actor, cursor)
    } catch (error) {
      if (error instanceof Failure && error.code === 'invalid_cursor')
        return { outcome: 'reset', reason: 'epoch' }
      throw error
    }
  }

  /** Follows without a gap from a position, or says why that cannot be. */
  async #follow(conversationId: string, after: number): Promise<void> {
    let sees: Visibility
    try {
      sees = (await standingOf(this.#parley.chat.db, this.actor, conversationId)).sees
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      this.#starting?.delete(conversationId)
      this.#tellLost(conversationId, 'revoked')
      return
    }
    await this.#begin(conversationId, after, sees)
  }

  async #begin(conversationId: string, after: number, sees: Visibility): Promise<void> {
    if (this.#state.name !== 'live') return
    this.#starting?.delete(conversationId)
    const conversation = { workspaceId: this.actor.workspaceId, id: conversationId }
    const reached = await this.#parley.hub.follow(this, conversation, after, sees)
    if (reached === 'ahead') this.tell({ type: 'reset', conversationId, reason: 'position_ahead' })
    else if (reached !== null) this.tell({ type: 'caughtup', conversationId, seq: reached })
  }

  #command(frame: Command): void {
    if (this.#state.name === 'joining') {
      if (this.#state.early.push(frame) > limits.commandsInFlight) this.close('protocol_error')
      return
    }
    if (this.#state.name === 'live') this.#commands.take(frame)
  }

  /** Does what only a connection can: follow, say how present its person is here, and watch others. */
  async perform(type: string, input: Record<string, unknown>): Promise<unknown> {
    if (type === 'presence.set') return this.#setPresence(input)
    const command = readCommand(type, input)
    switch (command.type) {
      case 'conversation.follow': {
        const { sees } = await standingOf(this.#parley.chat.db, this.actor, command.conversationId)
        // The reply goes first; the log follows as frames of its own, and nothing of it by the feed in between. Whoever waits
        // for it and follows again, or no more, must find this follow begun: nothing else is asked of the store before.
        this.#starting ??= new Set()
        this.#starting.add(command.conversationId)
        setImmediate(() =>
          this.#begin(command.conversationId, command.after, sees).catch((error: unknown) => {
            this.#noteFault(error, 'a conversation cannot be followed')
            this.close('restarting')
          }),
        )
        return
      }
      case 'conversation.unfollow':
        return this.#parley.hub.unfollow(this, command.conversationId)
      case 'presence.watch': {
        const visible = await visiblePeople(this.#parley.chat, this.actor, command.userIds)
        this.#parley.presence.watch(this, visible)
        return { presence: visible.map((userId) => this.#parley.presence.of(userId)) }
      }
    }
  }

  #setPresence(input: Record<string, unknown>): void {
    const { state } = checkCommand('presence.set', input) as InputOf<'presence.set'>
    this.#parley.presence.set(this, state)
  }

  async #lookAgain(): Promise<void> {
    if (this.#state.name !== 'live') return
    const { hub, chat } = this.#parley
    try {
      const { token, feed } = this.#state
      const actor = await authenticate(chat, token, this.#caller, { established: true })
      const before = this.actor
      const gone = await hub.attach(this, actor, async () => {
        const participating = feed ? await participatingIn(chat, actor) : null
        if (this.#state.name !== 'live') return undefined
        this.#actor = actor
        return participating
      })
      if (!this.isLive) return hub.detach(this)
      await this.#watchAgain()
      const parted = new Set([...gone, ...(this.#parted ?? [])])
      for (const conversationId of hub.followed(this)) {
        parted.delete(conversationId)
        await this.#seeAgain(conversationId)
      }
      for (const conversationId of parted) await this.#part(conversationId)
      // The lists are other ones now, and so may be what was left out of a conversation.
      if (standing(before) !== standing(actor)) {
        this.tell({ type: 'reset', conversationId: null, reason: 'access' })
      }
    } catch (error) {
      if (error instanceof Failure && !error.retry) return this.close('revoked')
      this.#noteFault(error, 'what a connection may see is not known')
      // An outage of the store ends no connection (promise G12), so the question is asked again.
      setTimeout(() => this.recheck(), 1_000).unref()
    }
  }

  /** Goes on with what may still be seen of a conversation that is followed, or ends it. */
  async #seeAgain(conversationId: string): Promise<void> {
    try {
      const { sees } = await standingOf(this.#parley.chat.db, this.actor, conversationId)
      this.#parley.hub.see(this, conversationId, sees)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      this.#parley.hub.unfollow(this, conversationId)
      this.#tellLost(conversationId, 'revoked')
    }
  }

  /** Of the people whose presence is watched, those whom this person may still know of. */
  async #watchAgain(): Promise<void> {
    const { presence, chat } = this.#parley
    const watched = presence.watchedBy(this)
    if (watched.length > 0) presence.watch(this, await visiblePeople(chat, this.actor, watched))
  }

  /** Says that a conversation is lost, unless the team of its inbox sees it anyway. */
  async #part(conversationId: string): Promise<void> {
    try {
      await standingOf(this.#parley.chat.db, this.actor, conversationId)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      this.#tellLost(conversationId, 'left')
    }
    this.#parted?.delete(conversationId)
  }

  async #tellGained(): Promise<void> {
    const gained = this.#gained ?? []
    this.#gained = undefined
    this.#telling = undefined
    for (const conversationId of gained) {
      if (this.#state.name !== 'live') return
      try {
        const summary = await getConversation(this.#parley.chat, this.actor, { conversationId })
        this.hear(new Frame({ type: 'conversation.changed', summary }))
      } catch (error) {
        // Gone again before we looked; or the store is away, and is asked again.
        if (error instanceof Failure && !error.retry) continue
        this.#noteFault(error, 'the row of a conversation cannot be told')
        await wait(1_000, undefined, { ref: false })
        await this.gained(conversationId)
      }
    }
  }

  /** A store that is away is no fault of ours, and is noted where everybody meets it. */
  #noteFault(error: unknown, what: string): void {
    if (!knownFailure(error)) this.#parley.log.error({ err: error }, what)
  }

  #tellLost(conversationId: string, reason: 'left' | 'revoked' | 'deleted'): void {
    this.hear(new Frame({ type: 'conversation.lost', conversationId, reason }))
  }

  tell(frame: ControlFrame): void {
    this.#send(JSON.stringify(frame))
  }

  #send(data: Buffer | string): void {
    if (this.#state.name === 'closed') return
    this.#wire.send(data)
    if (this.#wire.queued() <= this.#parley.chat.config.outboxBytes) return
    this.#leave()
    this.#parley.metrics.slowReaders.inc()
    this.#wire.terminate('slow_reader')
  }
}

/** What decides which lists somebody has. */
const standing = ({ role, inboxIds }: Actor) => [role, ...inboxIds.toSorted()].join(' ')

/** What may be dropped for a peer that reads slowly, before the connection itself is. */
const isWeather = (event: Event) => event.type === 'typing.changed' || event.type === 'presence.changed'

function closeReasonOf(failure: Failure): CloseReason {
  if (failure.code === 'token_expired') return 'token_expired'
  if (failure.code === 'origin_refused') return 'origin_refused'
  return failure.retry ? 'restarting' : 'unauthenticated'
}
