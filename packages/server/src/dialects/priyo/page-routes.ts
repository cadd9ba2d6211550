import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import type { Priyo } from './priyo.ts'

const client = createRequire(import.meta.url).resolve('socket.io/package.json')
const own = (name: string) => fileURLToPath(new URL(`widget/${name}`, import.meta.url))
const script = 'text/javascript; charset=utf-8'

/** What an embedding page loads. `embed-integrated.js` and `widget.js` are two names of one script. */
const files: Record<string, { from: string; type: string }> = {
  'embed-integrated.js': { from: own('embed.js'), type: script },
  'widget.js': { from: own('embed.js'), type: script },
  'socket.io.min.js': { from: join(dirname(client), 'client-dist/socket.io.min.js'), type: script },
  'icon.png': { from: own('icon.png'), type: 'image/png' },
  'test.html': { from: own('test.html'), type: 'text/html; charset=utf-8' },
}

/** Whether the server is well, what it is, and the files of the widget. */
export function pageRoutes(app: FastifyInstance, _priyo: Priyo): void {
  const config = { priyo: { open: true } }
  for (const url of ['/health', '/api/health']) {
    app.get(url, { config }, async () => ({
      status: 'OK',
      timestamp: new Date().toISOString(),
      uptime: process.uptime(),
    }))
  }
  app.get('/', { config }, async () => ({
    message: 'Priyo Chat API',
    version: '1.0.0',
    endpoints: {
      health: '/health',
      auth: '/api/auth',
      conversations: '/api/conversations',
      messages: '/api/messages',
      upload: '/api/upload',
      widget: '/api/widget',
    },
  }))
  for (const [name, { from, type }] of Object.entries(files)) {
    const bytes = readFileSync(from)
    app.get(`/widget/${name}`, { config }, async (_request, reply) =>
      reply
        .headers({
          'content-type': type,
          'cache-control': 'public, max-age=300',
          // Anybody may embed it; and the page that tries it out runs what it says itself, and no more.
          'access-control-allow-origin': '*',
          'content-security-policy':
            "default-src 'self'; style-src 'unsafe-inline'; connect-src 'self' ws: wss:",
        })
        .send(bytes),
    )
  }
}
