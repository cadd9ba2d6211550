import type { IncomingMessage } from 'node:http'
import { clientAddress } from '../chat/addresses.ts'
import type { Caller } from '../chat/sessions.ts'

/** Where a request comes from, behind so many proxies of ours. */
export function callerOf({ headers, socket }: IncomingMessage, proxies: number): Caller {
  const secret = headers['x-registration-secret']
  return {
    address: clientAddress(proxies, headers['x-forwarded-for'], socket.remoteAddress),
    origin: headers.origin ?? null,
    registrationSecret: typeof secret === 'string' ? secret : null,
  }
}

/** The same for what Fastify says of a request; without proxies it is to look at no forwarded header at all. */
export const trustedHops = (proxies: number) =>
  proxies > 0 && ((_address: string, hop: number) => hop < proxies)
