import type { Dialect } from '../door.ts'
import { accept } from './events.ts'
import { routes } from './routes.ts'

/** Business-to-customer support chat: writes over REST, everything live over a socket on which the server speaks. */
export const servicehub: Dialect = {
  name: 'servicehub',
  options: {
    anonymousConversationRoutes: /^(deny|legacy)$/,
    businessSignup: /^(registration|operator)$/,
    directConversations: /^(allowed|refused)$/,
    corsOrigin: /^https?:\/\/[^\s/]+( https?:\/\/[^\s/]+)*$/,
  },
  routes,
  websocket: { path: /^\/(ws\/?)?$/, accept },
}
