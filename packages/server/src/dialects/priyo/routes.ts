import type { FastifyInstance } from 'fastify'
import type { Door } from '../door.ts'
import { accountRoutes } from './account-routes.ts'
import { conversationRoutes } from './conversation-routes.ts'
import { answerLikePriyo } from './frame.ts'
import { messageRoutes } from './message-routes.ts'
import { pageRoutes } from './page-routes.ts'
import { priyoAt } from './priyo.ts'
import { uploadRoutes } from './upload-routes.ts'
import { widgetRoutes } from './widget-routes.ts'

export async function priyoRoutes(app: FastifyInstance, door: Door): Promise<void> {
  const priyo = await priyoAt(door)
  takeTrailingSlashes(app)
  answerLikePriyo(app, priyo)
  accountRoutes(app, priyo)
  conversationRoutes(app, priyo)
  messageRoutes(app, priyo)
  await uploadRoutes(app, priyo)
  widgetRoutes(app, priyo)
  pageRoutes(app, priyo)
}

/** The old service took every path with a slash at its end too. */
function takeTrailingSlashes(app: FastifyInstance): void {
  app.addHook('onRoute', function (route) {
    const { routePath } = route
    if (route.method === 'HEAD' || routePath === '' || /[/*]$/.test(routePath)) return
    const { url: _, path: __, prefix: ___, routePath: ____, ...same } = route
    this.route({ ...same, url: `${routePath}/` })
  })
}
