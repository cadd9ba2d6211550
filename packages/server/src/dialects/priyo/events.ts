import type { Namespace, Socket } from 'socket.io'
import type { AccessClaims } from '../../chat/access-tokens.ts'
import type { Actor } from '../../chat/actor.ts'
import { Failure } from '../../chat/failure.ts'
import { actorOfSession } from '../../chat/sessions.ts'
import type { Door } from '../door.ts'
import { MemberSocket } from './member-socket.ts'
import { member, type Priyo, priyoAt } from './priyo.ts'
import { isGone } from './who.ts'
import { WidgetSocket } from './widget-socket.ts'

/** Who is on a socket: somebody with an account, or a widget, which names no more than itself. */
type Guest = { kind: 'member'; claims: AccessClaims; actor: Actor } | { kind: 'widget' }

export function priyoEvents(namespace: Namespace, door: Door): void {
  const guests = new WeakMap<Socket, { priyo: Priyo; guest: Guest }>()

  namespace.use((socket, next) => {
    admit(door, socket).then(
      (admitted) => {
        guests.set(socket, admitted)
        next()
      },
      (error: unknown) => next(error instanceof Refused ? error : unexpected(door, error)),
    )
  })

  namespace.on('connection', (socket) => {
    const admitted = guests.get(socket)
    if (!admitted) return socket.disconnect(true)
    const { priyo, guest } = admitted
    if (guest.kind === 'widget') return new WidgetSocket(priyo, socket).open()
    new MemberSocket(priyo, socket, guest).open()
  })
}

/** Arrives at the client as the message of its `connect_error`. */
class Refused extends Error {}

async function admit(door: Door, socket: Socket): Promise<{ priyo: Priyo; guest: Guest }> {
  const priyo = await priyoAt(door)
  const { token, visitorId } = socket.handshake.auth as Record<string, unknown>
  if (token === undefined || token === null || token === '') {
    if (typeof visitorId === 'string' && visitorId !== '') return { priyo, guest: { kind: 'widget' } }
    throw new Refused('Authentication token required')
  }
  if (typeof token !== 'string') throw new Refused('Invalid authentication token')
  return { priyo, guest: await holderOf(priyo, token) }
}

async function holderOf(priyo: Priyo, token: string): Promise<Guest> {
  const widget = await unlessRefused(priyo.tokens.read('widget', token))
  if (widget) {
    await unlessRefused(actorOfSession(priyo.chat, widget)).then(requireSomebody)
    return { kind: 'widget' }
  }
  const claims = requireSomebody(await unlessRefused(priyo.tokens.read('access', token)))
  const actor = await unlessRefused(actorOfSession(priyo.chat, claims))
  if (actor) return { kind: 'member', claims, actor: member(actor) }
  throw new Refused((await isGone(priyo, claims)) ? 'User not found' : 'Invalid authentication token')
}

function requireSomebody<T>(found: T | null): T {
  if (found === null) throw new Refused('Invalid authentication token')
  return found
}

async function unlessRefused<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work
  } catch (error) {
    if (error instanceof Failure) return null
    throw error
  }
}

function unexpected(door: Door, error: unknown): Error {
  door.log.error({ err: error }, 'a socket could not be admitted')
  return new Error('Internal server error')
}
