import type { Door, SocketRequest, TextSocket } from '../door.ts'
import { Live } from './live.ts'
import { refusalOf } from './refusals.ts'
import { holderOf, readToken } from './tokens.ts'
import { translatorAt } from './told.ts'

const unauthorized = 4001

/** A raw WebSocket on which only the server speaks. Whatever a client says is ignored, and never an error. */
export function accept(socket: TextSocket, { query, address }: SocketRequest, door: Door): void {
  let live: Live | undefined
  let isGone = false
  socket.onText(() => {})
  socket.onClose(() => {
    isGone = true
    live?.close()
  })
  const token = query.get('token')
  if (!token) return socket.close(unauthorized, 'Unauthorized')
  const begin = async () => {
    const claims = await readToken(door, token)
    const holder = await holderOf(door, claims, { address, origin: null })
    if (isGone) return
    const outlet = {
      send: (frame: object) => socket.send(JSON.stringify(frame)),
      ended: () => socket.close(unauthorized, 'Invalid token'),
    }
    live = new Live(door, translatorAt(door), outlet, claims, { holder, address })
    await live.open()
  }
  begin().catch((error: unknown) => {
    if (refusalOf(error).status === 401) return socket.close(unauthorized, 'Invalid token')
    door.log.warn({ err: error }, 'could not open a socket')
    socket.close(1011, 'Internal server error')
  })
}
