import type { Namespace, Socket } from 'socket.io'
import { clientAddress } from '../../chat/addresses.ts'
import { Failure } from '../../chat/failure.ts'
import type { Door } from '../door.ts'
import { bearerOf, enter, type Guest } from './entrance.ts'
import { Live } from './live.ts'
import { texts } from './refusals.ts'
import { type TutorGo, tutorGoAt } from './tutorgo.ts'

/** Socket.IO: a token in the handshake, then events both ways. */
export function sockets(namespace: Namespace, door: Door): void {
  const tutorgo = tutorGoAt(door)
  const lives = new WeakMap<Socket, Live>()
  namespace.use((socket, next) => {
    admit(tutorgo, socket).then(
      (live) => {
        lives.set(socket, live)
        next()
      },
      (error: unknown) => next(new Error(refusalText(tutorgo, error))),
    )
  })
  namespace.on('connection', (socket: Socket) => lives.get(socket)?.begin())
}

class NotAdmitted extends Error {}

/** Listens before the client is told that it is in, so that nothing falls between the two. */
async function admit(tutorgo: TutorGo, socket: Socket): Promise<Live> {
  const guest = await guestOf(tutorgo, socket)
  const leave = tutorgo.connections.enter(guest.actor.userId)
  if (!leave) throw new NotAdmitted(texts.tooManyConnections)
  const live = new Live(tutorgo, socket, guest, leave)
  socket.conn.once('close', () => live.end())
  try {
    await live.open()
    return live
  } catch (error) {
    live.end()
    throw error
  }
}

function guestOf(tutorgo: TutorGo, { handshake }: Socket): Promise<Guest> {
  const { token = bearerOf(handshake.headers.authorization) } = handshake.auth
  if (token === null || token === '') throw new NotAdmitted(texts.noSocketToken)
  if (typeof token !== 'string') throw new NotAdmitted(texts.badToken)
  return enter(tutorgo, token, addressOf(tutorgo, handshake))
}

const addressOf = ({ chat }: TutorGo, { headers, address }: Socket['handshake']): string =>
  clientAddress(chat.config.proxies, headers['x-forwarded-for'], address) ?? address

function refusalText({ door }: TutorGo, error: unknown): string {
  if (error instanceof NotAdmitted) return error.message
  if (error instanceof Failure && error.status === 401) return texts.badToken
  door.log.warn({ err: error }, 'a socket could not be let in')
  return texts.cannotAuthenticate
}
