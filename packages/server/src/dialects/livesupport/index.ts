import type { Dialect } from '../door.ts'
import { accept } from './events.ts'
import { routes } from './routes.ts'

export const livesupport: Dialect = {
  name: 'livesupport',
  options: {
    /** How long a token is good, as a number and a unit. */
    expiresIn: /^[1-9]\d{0,5}[smhd]$/,
    /** Pages that may send credentials, separated by blanks; without it every page may ask, and none may send them. */
    origins: /^https?:\/\/[^\s/]+( https?:\/\/[^\s/]+)*$/,
  },
  routes,
  websocket: { path: /^\/ws$/, accept },
  otherUpgrades: 'HTTP/1.1 400 Bad Request',
}
