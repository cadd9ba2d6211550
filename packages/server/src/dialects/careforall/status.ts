import { sql } from 'kysely'
import type { Door } from '../door.ts'

const service = 'chat-service'
const version = '1.0.0'

export const card = ({ mount: { base } }: Door) => ({
  service,
  version,
  endpoints: {
    websocket: `${base}/ws/conversations/:conversationId`,
    conversations: `${base}/api/conversations`,
    health: `${base}/health`,
  },
})

export async function health({ chat, log }: Door) {
  const healthy = await sql`select 1`.execute(chat.db).then(
    () => true,
    (error: unknown) => {
      log.warn({ err: error }, 'the store did not answer a question after its health')
      return false
    },
  )
  return {
    status: healthy ? 'healthy' : 'unhealthy',
    service,
    version,
    timestamp: new Date().toISOString(),
    uptime: process.uptime(),
    database: { healthy, message: healthy ? 'Database is healthy' : 'Database is not reachable' },
  }
}
