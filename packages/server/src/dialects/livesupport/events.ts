import { randomUUID } from 'node:crypto'
import { type Event, findTextFault, type Message } from '@parley/protocol'
import type { Actor } from '../../chat/actor.ts'
import { type Case, findCase } from '../../chat/cases.ts'
import { closeConversation, takeConversation } from '../../chat/conversation-states.ts'
import { Failure } from '../../chat/failure.ts'
import { sendMessage } from '../../chat/messages.ts'
import { actorOfSession } from '../../chat/sessions.ts'
import type { Door, Listening, SocketRequest, TextSocket } from '../door.ts'
import { idOf, nameOf } from './names.ts'
import { Refusal } from './refusals.ts'
import { isTheirs } from './standing.ts'
import { actorOf, readToken } from './tokens.ts'
import { fieldOf, isOver, readName, textIn, toNewMessage, toRole, toStatus } from './translate.ts'

/** A socket's place in one conversation. `own` are messages it sent, which it must not hear again. */
type Room = {
  conversationId: string
  name: string
  status: 'open' | 'assigned'
  isGreeted: boolean
  own: Set<string>
}

const mostWaiting = 1_000

export function accept(socket: TextSocket, { query }: SocketRequest, door: Door): void {
  const peer = new Peer(socket, door)
  socket.onText((text) => peer.take(text))
  socket.onClose(() => peer.end())
  peer.begin(query.get('token') ?? '')
}

/** A frame is refused with its text; the socket stays. */
class Refused extends Error {}

/**
 * One socket. Frames are dealt with in the order they came; messages leave together with those sent beside them, and
 * whatever else a client asks for waits until its messages are written.
 */
class Peer {
  readonly #socket: TextSocket
  readonly #door: Door
  readonly #rooms = new Map<string, Room>()
  readonly #sending = new Set<Promise<void>>()
  #turn: Promise<void> = Promise.resolve()
  #waiting = 0
  #listening: Listening | undefined
  #role: Actor['role'] | undefined
  #isOver = false

  constructor(socket: TextSocket, door: Door) {
    this.#socket = socket
    this.#door = door
  }

  begin(token: string): void {
    this.#turn = this.#listen(token).catch((error: unknown) => {
      this.#report(error)
      this.#dismiss()
    })
  }

  /** Frames that come before the token was looked at wait for that. */
  take(text: string): void {
    if (this.#isOver) return
    const frame = readFrame(text)
    const { event, data } = typeof frame === 'string' ? { event: '', data: undefined } : frame
    const failed = typeof frame === 'string' ? frame : (failures[event] ?? 'Unknown event')
    if (this.#waiting >= mostWaiting) return this.#refuse(failed)
    if (!failures[event]) return this.#inTurn(async () => this.#refuse(failed))
    if (event === 'SEND_MESSAGE') return this.#inTurn(() => this.#send(data), failed)
    return this.#inTurn(async () => {
      await Promise.all(this.#sending)
      if (event === 'JOIN_CONVERSATION') await this.#join(data)
      else if (event === 'LEAVE_CONVERSATION') this.#leave(data)
      else await this.#close(data)
    }, failed)
  }

  end(): void {
    this.#isOver = true
    this.#rooms.clear()
    this.#listening?.end()
  }

  async #listen(token: string): Promise<void> {
    const claims = await readToken(this.#door, token)
    const actor = await actorOf(this.#door, claims)
    this.#role = actor.role
    const listening = await this.#door.listen(
      {
        actor,
        hear: (event) => this.#hear(event),
        reauthenticate: async () => {
          const now = await actorOfSession(this.#door.chat, claims)
          this.#changeRole(now.role)
          return now
        },
        ended: () => this.#dismiss(),
      },
      { feed: false },
    )
    this.#listening = listening
    if (this.#isOver) listening.end()
  }

  /** One after another; a message only has to begin before the next frame's turn comes. */
  #inTurn(work: () => Promise<void>, failed = 'Invalid request schema'): void {
    this.#waiting++
    this.#turn = this.#turn
      .then(() => (this.#isOver ? undefined : work()))
      .catch((error: unknown) => {
        if (!(error instanceof Refused)) this.#report(error)
        this.#refuse(error instanceof Refused ? error.message : failed)
      })
      .finally(() => {
        this.#waiting--
      })
  }

  async #join(data: unknown): Promise<void> {
    const listening = this.#live()
    const { actor } = listening
    const name = required(data, 'conversationId')
    const found = await this.#find(name)
    if (!found) throw new Refused('Conversation not found')
    if (isOver(found.status)) throw new Refused('Conversation already closed')
    const role = toRole(actor.role)
    const mayEver = role === 'candidate' || role === 'agent'
    if (mayEver && !isTheirs(found, actor)) throw new Refused('not allowed')
    if (!mayEver) throw new Refused('Forbidden for this role')
    if (role === 'agent' && found.kind === 'support') await this.#comeIn(actor, found)
    const room: Room = this.#rooms.get(found.id) ?? {
      conversationId: found.id,
      name: await nameOf(this.#door, 'conversation', found.id),
      status: 'assigned',
      isGreeted: false,
      own: new Set(),
    }
    room.status = role === 'agent' || toStatus(found) === 'assigned' ? 'assigned' : 'open'
    room.isGreeted = false
    if (!this.#rooms.has(found.id)) {
      this.#rooms.set(found.id, room)
      await this.#follow(listening, found, room)
    }
    if (this.#rooms.get(found.id) === room) this.#greet(room)
  }

  /** An agent who comes for the first time takes the conversation. */
  async #comeIn(actor: Actor, found: Case): Promise<void> {
    if (found.status === 'assigned' && found.agentIds.includes(actor.userId)) return
    try {
      await takeConversation(this.#door.chat, actor, { conversationId: found.id })
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      if (error.code === 'wrong_state') throw new Refused('Conversation already closed')
      if (error.code === 'internal') throw error
      throw new Refused('not allowed')
    }
  }

  /** From where the case was read: what happened since is heard, a close or another assignment among it. */
  async #follow(listening: Listening, found: Case, room: Room): Promise<void> {
    try {
      await listening.follow(found.id, found.lastSeq)
    } catch (error) {
      if (this.#rooms.get(found.id) === room) this.#rooms.delete(found.id)
      throw error instanceof Failure && error.code === 'not_found' ? new Refused('not allowed') : error
    }
  }

  #greet(room: Room): void {
    if (room.isGreeted) return
    room.isGreeted = true
    this.#say('JOINED_CONVERSATION', { conversationId: room.name, status: room.status })
  }

  async #send(data: unknown): Promise<void> {
    const { actor } = this.#live()
    const name = required(data, 'conversationId')
    const content = required(data, 'content').trim()
    requireTalker(actor)
    const room = this.#roomNamed(name)
    if (!room) throw new Refused(notJoined)
    if (findTextFault(content)) throw new Refused(failures.SEND_MESSAGE)
    const sent = this.#write(actor, room, content)
      .catch((error: unknown) => {
        if (!(error instanceof Refused)) this.#report(error)
        this.#refuse(error instanceof Refused ? error.message : (failures.SEND_MESSAGE ?? ''))
      })
      .finally(() => {
        this.#waiting--
        this.#sending.delete(sent)
      })
    this.#waiting++
    this.#sending.add(sent)
  }

  /** Whoever was taken out meanwhile comes in no more by writing, and nothing that is closed opens again. */
  async #write(actor: Actor, room: Room, body: string): Promise<void> {
    const clientMessageId = randomUUID()
    room.own.add(clientMessageId)
    try {
      await sendMessage(
        this.#door.chat,
        actor,
        { conversationId: room.conversationId, clientMessageId, body },
        { joins: false, reopens: 'never' },
      )
    } catch (error) {
      room.own.delete(clientMessageId)
      throw error instanceof Failure && gone.has(error.code) ? new Refused(notJoined) : error
    }
  }

  #leave(data: unknown): void {
    const name = required(data, 'conversationId')
    requireTalker(this.#live().actor)
    const room = this.#roomNamed(name)
    if (!room) throw new Refused('You are not in this conversation')
    this.#putOut(room)
  }

  async #close(data: unknown): Promise<void> {
    const { actor } = this.#live()
    const name = required(data, 'conversationId')
    if (toRole(actor.role) !== 'agent') throw new Refused('Forbidden for this role')
    const found = requireClosable(await this.#find(name), actor)
    const wasIn = this.#rooms.has(found.id)
    try {
      await closeConversation(
        this.#door.chat,
        actor,
        { conversationId: found.id },
        { onlyIf: (row) => row.status === found.status && row.assignee_id === found.assigneeId },
      )
    } catch (error) {
      // Something changed since it was read: the text that fits is said, if one does.
      if (error instanceof Failure && error.code === 'wrong_state')
        requireClosable(await this.#find(name), actor)
      throw error
    }
    const room = this.#rooms.get(found.id)
    if (room) this.#empty(room)
    // In the room it may have been heard already.
    else if (!wasIn)
      this.#say('CONVERSATION_CLOSED', { conversationId: await nameOf(this.#door, 'conversation', found.id) })
  }

  async #hear(event: Event): Promise<void> {
    if (!('conversationId' in event)) return
    const room = this.#rooms.get(event.conversationId)
    if (!room) return
    this.#greet(room)
    switch (event.type) {
      case 'message.created':
        return this.#tell(room, event.message)
      case 'conversation.updated': {
        const { status, assigneeId } = event.changes
        if (status && isOver(status)) return this.#empty(room)
        const isAgent = this.#role === 'agent' && assigneeId !== undefined
        if (isAgent && assigneeId !== this.#listening?.actor.userId) this.#putOut(room)
        return
      }
      case 'participant.left':
        if (event.userId === this.#listening?.actor.userId) this.#putOut(room)
        return
      case 'conversation.deleted':
        return this.#empty(room)
      case 'conversation.lost':
        return this.#putOut(room)
    }
  }

  async #tell(room: Room, message: Message): Promise<void> {
    if (message.visibility !== 'everyone' || message.retractedAt) return
    const { senderId, clientMessageId } = message
    const isMine = senderId === this.#listening?.actor.userId
    if (isMine && clientMessageId !== null && room.own.delete(clientMessageId)) return
    const sender = senderId && (await nameOf(this.#door, 'person', senderId))
    if (this.#rooms.get(room.conversationId) !== room) return
    this.#say('NEW_MESSAGE', toNewMessage(message, room.name, sender))
  }

  /** Leaving, and being made to leave. */
  #putOut(room: Room): void {
    this.#forget(room)
    this.#say('LEFT_CONVERSATION', { conversationId: room.name })
  }

  /** The conversation is over. */
  #empty(room: Room): void {
    this.#forget(room)
    this.#say('CONVERSATION_CLOSED', { conversationId: room.name })
  }

  #forget(room: Room): void {
    this.#rooms.delete(room.conversationId)
    this.#listening?.unfollow(room.conversationId)
  }

  /** Who has another role now is in no room by the rights of the old one. */
  #changeRole(role: Actor['role']): void {
    if (role === this.#role) return
    this.#role = role
    for (const room of [...this.#rooms.values()]) this.#putOut(room)
  }

  async #find(text: string): Promise<Case | null> {
    const id = await idOf(this.#door, 'conversation', text)
    return id === null ? null : findCase(this.#door.chat, this.#door.mount.workspaceId, id)
  }

  /** Few rooms per socket: looking through them keeps the frames in order without asking the store. */
  #roomNamed(text: string): Room | undefined {
    const name = readName(text)
    return [...this.#rooms.values()].find((room) => room.name === name)
  }

  #live(): Listening {
    if (!this.#listening) throw new Refused('Unauthorized or invalid token')
    return this.#listening
  }

  #dismiss(): void {
    if (this.#isOver) return
    this.#refuse('Unauthorized or invalid token')
    this.end()
    this.#socket.close()
  }

  #refuse(message = ''): void {
    this.#say('ERROR', { message })
  }

  #say(event: string, data: Record<string, unknown>): void {
    if (!this.#isOver) this.#socket.send(JSON.stringify({ event, data }))
  }

  /** Refusals are the client's business; anything else is ours. */
  #report(error: unknown): void {
    if (error instanceof Failure || error instanceof Refusal) return
    this.#door.log.error({ err: error }, 'a frame could not be dealt with')
  }
}

const notJoined = 'You must join the conversation first'
const gone = new Set(['not_found', 'conversation_closed', 'conversation_archived', 'forbidden'])

/** The events that clients know, and what each says when it fails otherwise. */
const failures: Readonly<Record<string, string>> = Object.assign(Object.create(null), {
  JOIN_CONVERSATION: 'Failed to join conversation',
  SEND_MESSAGE: 'Failed to send message',
  LEAVE_CONVERSATION: 'Failed to leave conversation',
  CLOSE_CONVERSATION: 'Failed to close conversation',
})

function requireClosable(found: Case | null, actor: Actor): Case {
  if (!found) throw new Refused('Conversation not found')
  if (!isTheirs(found, actor)) throw new Refused('not allowed')
  const status = toStatus(found)
  if (status === 'open') throw new Refused('Conversation not yet assigned')
  if (status === 'closed') throw new Refused('Conversation already closed')
  return found
}

function requireTalker(actor: Actor): void {
  const role = toRole(actor.role)
  if (role !== 'candidate' && role !== 'agent') throw new Refused('Forbidden for this role')
}

function required(data: unknown, field: 'conversationId' | 'content'): string {
  const value = textIn(data, field)
  if (value === undefined) throw new Refused(`${field} is required`)
  return value
}

/** The parts of a frame, or what is wrong with it. */
function readFrame(text: string): { event: string; data: unknown } | string {
  const frame = parse(text)
  if (frame === undefined || frame === null) return 'Invalid request schema'
  const event = fieldOf(frame, 'event')
  return typeof event === 'string' ? { event, data: fieldOf(frame, 'data') } : 'Invalid message format'
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
