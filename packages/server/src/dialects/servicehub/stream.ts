import type { FastifyInstance } from 'fastify'
import type { Door } from '../door.ts'
import { cursorNow } from './catch-up.ts'
import { callerOf } from './entrance.ts'
import { Live } from './live.ts'
import { refusals } from './refusals.ts'
import { holderOf, readToken } from './tokens.ts'
import { translatorAt } from './told.ts'

const beatMs = 20_000

/** The socket's frames as an event stream, for networks that let no WebSocket through. */
export function streamRoute(app: FastifyInstance, door: Door): void {
  app.get<{ Querystring: { token?: unknown; cursor?: unknown } }>('/events', async (request, reply) => {
    const { token } = request.query
    if (typeof token !== 'string' || token === '') throw refusals.noToken()
    const claims = await readToken(door, token)
    const caller = callerOf(request)
    const holder = await holderOf(door, claims, caller)
    const { raw } = reply.hijack()
    for (const [name, value] of Object.entries(reply.getHeaders()))
      if (value !== undefined) raw.setHeader(name, value)
    raw.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    const write = (text: string) => {
      if (raw.writableLength > door.chat.config.outboxBytes) raw.destroy()
      else raw.write(text)
    }
    let cursor = cursorNow()
    const outlet = {
      send: (frame: object) => write(`id: ${cursor}\ndata: ${JSON.stringify(frame)}\n\n`),
      ended: () => raw.end(),
    }
    const live = new Live(door, translatorAt(door), outlet, claims, { holder, address: caller.address })
    const beats = setInterval(() => {
      cursor = cursorNow()
      write(`id: ${cursor}\n: still here\n\n`)
    }, beatMs)
    raw.on('close', () => {
      clearInterval(beats)
      live.close()
    })
    raw.on('error', () => raw.destroy())
    const seen = request.headers['last-event-id'] ?? request.query.cursor
    await live.open(typeof seen === 'string' ? seen : null).catch((error: unknown) => {
      door.log.warn({ err: error }, 'could not open a stream')
      raw.destroy()
    })
  })
}
