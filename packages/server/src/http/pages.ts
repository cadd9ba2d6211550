import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { openApi } from '@parley/protocol/openapi'
import type { FastifyInstance } from 'fastify'
import { isClaimed } from '../chat/setup.ts'
import type { Parley } from '../parley.ts'
import { version } from '../version.ts'

const root = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))
const dayInSeconds = 86_400

/** What people open: a page with the widget at `/`, the desk, the API reference, and the widget's own files. */
export async function pageRoutes(app: FastifyInstance, parley: Parley): Promise<void> {
  await app.register(fastifyStatic, {
    root: root('widget/dist'),
    prefix: '/widget/',
    decorateReply: true,
    setHeaders: (reply, path) => {
      // Names with a hash never change what they hold; the loader's name does not, so it is asked for again.
      const hashed = /-[\w-]{8,}\.\w+$/.test(path)
      reply.header(
        'Cache-Control',
        hashed ? `public, max-age=${365 * dayInSeconds}, immutable` : 'public, max-age=300',
      )
      reply.header('Access-Control-Allow-Origin', '*')
    },
  })
  await app.register(fastifyStatic, {
    root: root('desk/dist/assets'),
    prefix: '/desk/assets/',
    decorateReply: false,
    immutable: true,
    maxAge: '365d',
  })
  app.get('/desk/icon.svg', (_request, reply) => reply.sendFile('icon.svg', root('desk/dist')))
  const desk = async () => {
    const page = await readFile(join(root('desk/dist'), 'index.html'), 'utf8')
    // Without its store the server cannot say; the desk comes all the same.
    const claimed = await isClaimed(parley.chat).catch(() => null)
    return claimed === null
      ? page
      : page.replace('<html ', `<html data-owner="${claimed ? 'made' : 'none'}" `)
  }
  for (const url of ['/desk', '/desk/*']) {
    app.get(url, async (_request, reply) =>
      reply
        .type('text/html')
        .header('Cache-Control', 'no-store')
        .send(await desk()),
    )
  }
  app.get('/', async (_request, reply) => {
    const key = await firstWidgetKey(parley)
    const page = await readFile(root('widget/demo/index.html'), 'utf8')
    return reply
      .type('text/html')
      .header('Cache-Control', 'no-store')
      .send(page.replaceAll('{{widgetKey}}', key))
  })
  await app.register(swagger, { mode: 'static', specification: { document: openApi(version) as never } })
  // Without a policy of its own: that would refuse the page its inline styles, and ask for https where there is none.
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { docExpansion: 'none', deepLinking: true },
  })
}

/** The demo page shows the widget of the oldest inbox of the first workspace. */
async function firstWidgetKey({ chat }: Parley): Promise<string> {
  const inbox = await chat.db
    .selectFrom('inbox')
    .select('widget_key')
    .orderBy('created_at')
    .orderBy('id')
    .limit(1)
    .executeTakeFirst()
  return inbox?.widget_key ?? ''
}
