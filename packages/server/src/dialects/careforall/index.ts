import type { Dialect } from '../door.ts'
import { accept } from './events.ts'
import { routes } from './routes.ts'

/** The chat service of a donation platform: users ask, admins answer, each conversation has a socket of its own. */
export const careforall: Dialect = {
  name: 'careforall',
  options: {
    closed: /^(reopen|reject)$/,
    inbox: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
    requestLimit: /^[1-9]\d{0,6}$/,
    origins: /^https?:\/\/[^/\s]+( https?:\/\/[^/\s]+)*$/,
  },
  routes,
  websocket: { path: /^\/ws\/conversations\/[^/]+\/?$/, accept },
}
