import type { IncomingMessage } from 'node:http'
import type { Caller } from '../chat/sessions.ts'

/** Where a request comes from. Forwarded headers count only behind a proxy of ours; anybody can write them. */
export function callerOf(request: IncomingMessage, trustProxy: boolean): Caller {
  const forwarded = trustProxy
    ? String(request.headers['x-forwarded-for'] ?? '')
        .split(',')[0]
        ?.trim()
    : undefined
  const secret = request.headers['x-registration-secret']
  return {
    address: forwarded || request.socket.remoteAddress || null,
    origin: request.headers.origin ?? null,
    registrationSecret: typeof secret === 'string' ? secret : null,
  }
}
