import type { Dialect } from '../door.ts'
import { priyoEvents } from './events.ts'
import { priyoRoutes } from './routes.ts'

/** Direct and group conversations with accounts of three roles, and a widget for visitors: REST and Socket.IO. */
export const priyo: Dialect = {
  name: 'priyo',
  options: {
    accessExpiresIn: /^[1-9]\d{0,5}[smhd]$/,
    refreshExpiresIn: /^[1-9]\d{0,5}[smhd]$/,
    maxFileSize: /^[1-9]\d{2,9}$/,
    /** Pages that may call with credentials, separated by blanks. */
    origins: /^https?:\/\/[^\s/]+( https?:\/\/[^\s/]+)*$/,
    /** Requests of one address within fifteen minutes. */
    limit: /^[1-9]\d{0,6}$/,
    /** Where visitors' conversations arrive; without it, in the oldest inbox. */
    inbox: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
  },
  routes: priyoRoutes,
  socketio: priyoEvents,
}
