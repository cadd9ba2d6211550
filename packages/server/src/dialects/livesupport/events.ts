import { randomUUID } from 'node:crypto'
import { findTextFault } from '@parley/protocol'
import type { Actor } from '../../chat/actor.ts'
import { type Case, findCase } from '../../chat/cases.ts'
import { closeConversation, takeConversation } from '../../chat/conversation-states.ts'
import { Failure } from '../../chat/failure.ts'
import { sendMessage } from '../../chat/messages.ts'
import { actorOfSession } from '../../chat/sessions.ts'
import type { Door, Listening, SocketRequest, TextSocket } from '../door.ts'
import { failures, Refused, readFrame, required } from './frames.ts'
import { idOf, nameOf } from './names.ts'
import { Refusal } from './refusals.ts'
import { type Room, Rooms } from './rooms.ts'
import { isTheirs } from './standing.ts'
import { actorOf, readToken } from './tokens.ts'
import { isOver, toRole, toStatus } from './translate.ts'

const mostWaiting = 1_000

export function accept(socket: TextSocket, { query }: SocketRequest, door: Door): void {
  const peer = new Peer(socket, door)
  socket.onText((text) => peer.take(text))
  socket.onClose(() => peer.finish())
  peer.begin(query.get('token') ?? '')
}

/**
 * One socket. Frames are dealt with in the order they came; messages leave together with those sent beside them, and
 * whatever else a client asks for waits until its messages are written.
 */
class Peer {
  readonly #socket: TextSocket
  readonly #door: Door
  readonly #rooms: Rooms
  readonly #sending = new Set<Promise<void>>()
  #turn: Promise<void> = Promise.resolve()
  #waiting = 0
  #listening: Listening | undefined
  #isOver = false

  constructor(socket: TextSocket, door: Door) {
    this.#socket = socket
    this.#door = door
    this.#rooms = new Rooms(door, (event, data) => this.#say(event, data))
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
    const failed = 'fault' in frame ? frame.fault : (failures.get(frame.event) ?? '')
    if (this.#waiting >= mostWaiting) return this.#refuse(failed)
    if ('fault' in frame) return this.#inTurn(async () => this.#refuse(failed), failed)
    const { event, data } = frame
    if (event === 'SEND_MESSAGE') return this.#inTurn(async () => this.#send(data, failed), failed)
    return this.#inTurn(async () => {
      await Promise.all(this.#sending)
      if (event === 'JOIN_CONVERSATION') await this.#join(data)
      else if (event === 'LEAVE_CONVERSATION') this.#leave(data)
      else await this.#close(data)
    }, failed)
  }

  /** The client has gone; what it said before is still done. */
  finish(): void {
    this.#turn.then(() => this.end())
  }

  end(): void {
    this.#isOver = true
    this.#rooms.clear()
    this.#listening?.end()
  }

  async #listen(token: string): Promise<void> {
    const claims = await readToken(this.#door, token)
    const actor = await actorOf(this.#door, claims)
    const listening = await this.#door.listen(
      {
        actor,
        hear: (event) => this.#rooms.hear(event),
        reauthenticate: async () => {
          const now = await actorOfSession(this.#door.chat, claims)
          if (now.role !== this.#listening?.actor.role) this.#rooms.leaveAll()
          return now
        },
        ended: () => this.#dismiss(),
      },
      { feed: false },
    )
    this.#listening = listening
    this.#rooms.listening = listening
    if (this.#isOver) listening.end()
  }

  /** One after another; a message only has to begin before the next frame's turn comes. */
  #inTurn(work: () => Promise<void>, failed: string): void {
    this.#turn = this.#counted(
      this.#turn.then(() => (this.#isOver ? undefined : work())),
      failed,
    )
  }

  /** Counts among what waits until it is done, and is answered when it fails. */
  #counted(work: Promise<void>, failed: string): Promise<void> {
    this.#waiting++
    return work
      .catch((error: unknown) => {
        this.#report(error)
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
    const isThere = this.#rooms.get(found.id) !== undefined
    const room = this.#rooms.enter(
      found.id,
      await nameOf(this.#door, 'conversation', found.id),
      role === 'agent' || toStatus(found) === 'assigned' ? 'assigned' : 'open',
    )
    if (!isThere) await this.#follow(listening, found)
    this.#rooms.greet(room)
  }

  /** An agent who comes for the first time takes the conversation. */
  async #comeIn(actor: Actor, found: Case): Promise<void> {
    if (found.status === 'assigned' && found.agentIds.includes(actor.userId)) return
    try {
      await takeConversation(this.#door.chat, actor, { conversationId: found.id })
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      if (error.code === 'wrong_state') throw new Refused('Conversation already closed')
      throw notTheirs.has(error.code) ? new Refused('not allowed') : error
    }
  }

  /** From where the case was read: what happened since is heard, a close or another assignment among it. */
  async #follow(listening: Listening, found: Case): Promise<void> {
    try {
      await listening.follow(found.id, found.lastSeq)
    } catch (error) {
      this.#rooms.forget(found.id)
      throw error instanceof Failure && error.code === 'not_found' ? new Refused('not allowed') : error
    }
  }

  /** Begins to send: the next frame need not wait until it is written. */
  #send(data: unknown, failed: string): void {
    const { actor } = this.#live()
    const name = required(data, 'conversationId')
    const content = required(data, 'content').trim()
    requireTalker(actor)
    const room = this.#rooms.named(name)
    if (!room) throw new Refused(notJoined)
    if (findTextFault(content)) throw new Refused(failed)
    const sent = this.#counted(this.#write(actor, room, content), failed).finally(() =>
      this.#sending.delete(sent),
    )
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
    const room = this.#rooms.named(name)
    if (!room) throw new Refused('You are not in this conversation')
    this.#rooms.putOut(room)
  }

  async #close(data: unknown): Promise<void> {
    const { actor } = this.#live()
    const name = required(data, 'conversationId')
    if (toRole(actor.role) !== 'agent') throw new Refused('Forbidden for this role')
    const found = requireClosable(await this.#find(name), actor)
    const wasIn = this.#rooms.get(found.id) !== undefined
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
    if (room) this.#rooms.empty(room)
    // In the room it may have been heard already.
    else if (!wasIn)
      this.#say('CONVERSATION_CLOSED', { conversationId: await nameOf(this.#door, 'conversation', found.id) })
  }

  async #find(text: string): Promise<Case | null> {
    const id = await idOf(this.#door, 'conversation', text)
    return id === null ? null : findCase(this.#door.chat, this.#door.mount.workspaceId, id)
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

  #refuse(message: string): void {
    this.#say('ERROR', { message })
  }

  #say(event: string, data: Record<string, unknown>): void {
    if (!this.#isOver) this.#socket.send(JSON.stringify({ event, data }))
  }

  /** Refusals are the client's business; anything else is ours. */
  #report(error: unknown): void {
    if (error instanceof Failure || error instanceof Refusal || error instanceof Refused) return
    this.#door.log.error({ err: error }, 'a frame could not be dealt with')
  }
}

const notJoined = 'You must join the conversation first'
const notTheirs = new Set(['not_found', 'forbidden', 'already_taken'])
const gone = new Set(['not_found', 'conversation_closed', 'conversation_archived', 'forbidden'])

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
