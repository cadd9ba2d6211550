import { createRootRoute, createRoute, createRouter, redirect } from '@tanstack/react-router'
import { ConversationPage } from './conversation-page.tsx'
import { ConversationsPage } from './conversations-page.tsx'
import { InboxesPage } from './settings/inboxes-page.tsx'
import { PeoplePage } from './settings/people-page.tsx'
import { Lost, Shell } from './shell/shell.tsx'

/**
 * The address says what is in sight: `/open`, `/open/<conversation>`, `/open/<conversation>/details`. The first part is
 * a view or the id of an inbox (`list/views.ts`). Back and forward go through it, and it can be sent to a colleague.
 */
const root = createRootRoute({ component: Shell, notFoundComponent: Lost })

const home = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/$view', params: { view: 'open' }, replace: true })
  },
})

const inboxes = createRoute({
  getParentRoute: () => root,
  path: '/settings/inboxes',
  component: InboxesPage,
})
const people = createRoute({ getParentRoute: () => root, path: '/settings/people', component: PeoplePage })

const view = createRoute({ getParentRoute: () => root, path: '/$view', component: ConversationsPage })
const conversation = createRoute({
  getParentRoute: () => view,
  path: '/$conversationId',
  component: ConversationPage,
})
const details = createRoute({ getParentRoute: () => conversation, path: '/details' })

export const router = createRouter({
  routeTree: root.addChildren([
    home,
    inboxes,
    people,
    view.addChildren([conversation.addChildren([details])]),
  ]),
  basepath: '/desk',
  defaultStructuralSharing: true,
  scrollRestoration: false,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
