import { createServer, type Server as HttpServer, type IncomingMessage } from 'node:http'
import { type Namespace, type ServerOptions, Server as SocketIo } from 'socket.io'
import { pathOf, type UpgradeDoor } from '../realtime/upgrades.ts'
import type { Dialect, Door } from './door.ts'

/** A dialect where it answers; without a host, at its prefix. */
type Mounted = { dialect: Dialect; door: Door; host?: string }

export type SocketIoMounts = { door: UpgradeDoor; close(): void }

/**
 * Socket.IO of the main listener. At a prefix its clients take the path of their URL for a namespace, with or without a
 * slash at the end; at a host name of its own a dialect has the nameless one. All of them ask below the same path, so
 * each name has a Socket.IO to itself, on a server that never listens and is handed what is meant for it.
 */
export function serveSocketIo(
  server: HttpServer,
  prefixes: readonly Mounted[],
  hosts: readonly Mounted[],
): SocketIoMounts {
  const shared = offstage(corsOfMany(prefixes))
  shared.io.use((_socket, next) => next(new Error('Invalid namespace')))
  for (const { dialect, door } of prefixes)
    dialect.socketio?.(shared.io.of(new RegExp(`^/${dialect.name}/?$`)) as unknown as Namespace, door)
  const named = new Map<string, Offstage | null>()
  for (const { dialect, door, host = '' } of hosts) {
    const own = dialect.socketio ? offstage(corsOf(dialect, door)) : null
    if (own) dialect.socketio?.(own.io.of('/'), door)
    named.set(host, own)
  }
  return hand(server, [shared, ...named.values()].filter(isThere), (request) => {
    const own = named.get(request.headers.host?.split(':')[0] ?? '')
    return own === undefined ? shared : own
  })
}

/** The same at a port of its own, where there is nobody else. */
export function socketIoAt(server: HttpServer, { dialect, door }: Mounted): SocketIoMounts {
  const own = dialect.socketio ? offstage(corsOf(dialect, door)) : null
  if (own) dialect.socketio?.(own.io.of('/'), door)
  return hand(server, [own].filter(isThere), () => own)
}

type Offstage = { server: HttpServer; io: SocketIo }
const isThere = (one: Offstage | null): one is Offstage => one !== null

function offstage(cors: ServerOptions['cors']): Offstage {
  const server = createServer()
  const io = new SocketIo(server, {
    cors,
    serveClient: false,
    destroyUpgrade: false,
    maxHttpBufferSize: 262_144,
    pingInterval: 20_000,
    pingTimeout: 20_000,
  })
  return { server, io }
}

function hand(
  server: HttpServer,
  all: readonly Offstage[],
  pick: (request: IncomingMessage) => Offstage | null,
): SocketIoMounts {
  const meant = (request: IncomingMessage) =>
    pathOf(request).startsWith('/socket.io/') ? pick(request) : null
  const others = server.listeners('request')
  server.removeAllListeners('request')
  server.on('request', (request, response) => {
    const target = meant(request)
    if (target) target.server.emit('request', request, response)
    else for (const listener of others) listener.call(server, request, response)
  })
  return {
    door: (request, socket, head) => meant(request)?.server.emit('upgrade', request, socket, head) ?? false,
    // In every namespace, and as a connection that broke: then clients come back by themselves.
    close: () => {
      for (const { io } of all) io.engine.close()
    },
  }
}

/** Tokens travel in the handshake, never in cookies, so any page may connect and none is trusted for it. */
const anyPage = { origin: '*', credentials: false }

/** A dialect that names its pages lets those send credentials, and names no other. */
function corsOf({ socketPages }: Dialect, { mount }: Door) {
  const pages = socketPages?.(mount)
  return pages ? { origin: [...pages], credentials: true } : anyPage
}

/** Where several share one path, what one of them allows its pages takes nothing from the pages of the others. */
function corsOfMany(mounted: readonly Mounted[]): ServerOptions['cors'] {
  const named = new Set(mounted.flatMap(({ dialect, door }) => dialect.socketPages?.(door.mount) ?? []))
  return ({ headers: { origin } }, decide) =>
    decide(null, origin !== undefined && named.has(origin) ? { origin, credentials: true } : anyPage)
}
