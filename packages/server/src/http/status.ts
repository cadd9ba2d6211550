import type { FastifyInstance } from 'fastify'
import { sql } from 'kysely'
import { within } from '../chat/deadline.ts'
import type { Parley } from '../parley.ts'
import { version } from '../version.ts'

/** For operators and their machines: is it alive, may traffic come, what does it measure. */
export function statusRoutes(app: FastifyInstance, parley: Parley): void {
  const { store, config } = parley.chat
  app.get('/health', async () => ({
    status: 'ok',
    version,
    store: store.kind,
    durability: store.durability,
    uptimeSeconds: Math.round(process.uptime()),
    connections: parley.peers.size,
    ...(config.demo && { demo: 'anybody can register with any role; for trying out only' }),
  }))

  app.get('/ready', async (_request, reply) => {
    const problem = await whyNotReady(parley)
    return problem ? reply.code(503).send({ ready: false, because: problem }) : { ready: true }
  })

  app.get('/metrics', async (_request, reply) =>
    reply.type(parley.metrics.registry.contentType).send(await parley.metrics.registry.metrics()),
  )
}

async function whyNotReady(parley: Parley): Promise<string | null> {
  if (parley.isDraining) return 'stopping'
  try {
    await within(2_000, sql`select 1`.execute(parley.chat.db))
    return null
  } catch {
    return 'the store does not answer'
  }
}
