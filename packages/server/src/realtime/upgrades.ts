import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'

/** Takes an upgrade that is its own and says so; leaves every other alone. */
export type UpgradeDoor = (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean

/**
 * Offers every upgrade of a server to its doors in turn. One that nobody takes is refused: left open it would hold a
 * descriptor for ever.
 */
export function routeUpgrades(
  server: Server,
  doors: UpgradeDoor[],
  refusal = 'HTTP/1.1 404 Not Found',
): void {
  // Clients offer `h2c` with ordinary requests, which HTTP lets us ignore; taken for an upgrade they would be refused.
  Object.assign(server, {
    shouldUpgradeCallback: ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === 'websocket',
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', destroySelf)
    if (doors.some((door) => door(request, socket, head))) return
    refuseUpgrade(socket, refusal)
  })
}

/** A closure here would share its scope with the one below it, and each connection keep its request for good (1.6 KB). */
function destroySelf(this: Duplex): void {
  this.destroy()
}

export function refuseUpgrade(socket: Duplex, refusal: string): void {
  socket.end(`${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

/** The path without its query: tokens may stand there, and nothing of it is ever logged. */
export const pathOf = (request: IncomingMessage) => (request.url ?? '').split('?')[0] ?? ''
