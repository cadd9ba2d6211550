import { isFetchable } from '../../chat/fetch-outside.ts'
import type { Dialect } from '../door.ts'
import { sockets } from './events.ts'
import { frontendOf } from './frame.ts'
import { routes } from './routes.ts'

/** One-to-one chat between a student and a tutor, while they have a confirmed booking. */
export const tutorgo: Dialect = {
  name: 'tutorgo',
  options: {
    envelope: /^(bare|wrapped)$/,
    frontendUrl: /^https?:\/\/[^/\s]+$/,
    expired: /^(401|403)$/,
    completed: /^(on|off)$/,
    bookingsUrl: /^https?:\/\/\S+$/,
    bookingsSecret: /^\S{24,200}$/,
    messageLimit: /^[1-9]\d{0,6}$/,
    requestLimit: /^[1-9]\d{0,6}$/,
    connectionLimit: /^[1-9]\d{0,4}$/,
  },
  routes: (app, door) => {
    const { bookingsUrl } = door.mount.options
    if (bookingsUrl !== undefined && !isFetchable(bookingsUrl))
      throw new Error(
        'The option bookingsUrl of tutorgo must be https to a public address, or http to this machine',
      )
    return routes(app, door)
  },
  socketio: sockets,
  socketPages: (mount) => [frontendOf(mount)],
}
