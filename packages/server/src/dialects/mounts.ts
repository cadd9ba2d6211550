import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import Fastify, { type FastifyInstance, LogController } from 'fastify'
import { type WebSocket, WebSocketServer } from 'ws'
import { findWorkspace } from '../chat/workspaces.ts'
import type { MountSetting } from '../config.ts'
import type { Parley } from '../parley.ts'
import { callerOf, trustedHops } from '../realtime/caller.ts'
import { pathOf, refuseUpgrade, routeUpgrades, type UpgradeDoor } from '../realtime/upgrades.ts'
import type { Dialect, Door, Mount, TextSocket } from './door.ts'
import { listen } from './listening.ts'
import { type SocketIoMounts, serveSocketIo, socketIoAt } from './socketio.ts'

/** A root mount that listens on a port of its own. */
export type OpenMount = { dialect: string; url: string; close(): Promise<void> }

export type Mounts = {
  /** Raw WebSockets of the prefixes, for the main listener. */
  door: UpgradeDoor
  /** Opens the extra ports, all or none; each is a small server with one dialect at its root. */
  open(): Promise<OpenMount[]>
}

const frameBytes = 262_144

/**
 * Lets the dialects in: each below its prefix on the main listener, always, and at the root of a port or a host name
 * where a setting or the store says so. The same code serves both; only the base differs.
 */
export async function mountDialects(
  app: FastifyInstance,
  parley: Parley,
  dialects: readonly Dialect[],
  settings: readonly MountSetting[],
): Promise<Mounts> {
  const all = [...settings, ...(await storedMounts(parley))]
  const prefixes: { dialect: Dialect; door: Door }[] = []
  for (const dialect of dialects) {
    const given = all.find(
      (setting) => setting.dialect === dialect.name && setting.port === null && setting.host === null,
    )
    const door = await doorOf(parley, dialect, given, `/${dialect.name}`)
    prefixes.push({ dialect, door })
    await app.register(async (context) => dialect.routes(context, door), { prefix: door.mount.base })
  }
  const hosts: { host: string; dialect: Dialect; door: Door }[] = []
  for (const setting of all) {
    const dialect = requireDialect(dialects, setting.dialect)
    const { host } = setting
    if (host === null) continue
    const door = await doorOf(parley, dialect, setting, '')
    hosts.push({ host, dialect, door })
    await app.register(async (context) => {
      context.addHook('onRoute', (route) => {
        route.constraints = { ...route.constraints, host: withAnyPort(host) }
      })
      await dialect.routes(context, door)
    })
  }
  const sockets = new WebSocketServer({ noServer: true, maxPayload: frameBytes, perMessageDeflate: false })
  const io = serveSocketIo(app.server, prefixes, hosts)
  // Sockets are not requests: a server that closes would wait for them as long as they like.
  app.addHook('preClose', async () => sendAway(sockets, io))
  return {
    door: (request, socket, head) => {
      if (io.door(request, socket, head)) return true
      const host = hosts.find((mounted) => mounted.host === request.headers.host?.split(':')[0])
      const candidates = host ? [host] : prefixes
      const mounted = candidates.find(({ door }) => isBelow(pathOf(request), door.mount.base))
      if (!mounted) return false
      const { dialect, door } = mounted
      if (acceptWebSocket(sockets, dialect, door, parley, request, socket, head)) return true
      if (dialect.otherUpgrades) refuseUpgrade(socket, dialect.otherUpgrades)
      return dialect.otherUpgrades !== undefined
    },
    open: () =>
      allOrNone(
        all.flatMap((setting) =>
          setting.port === null
            ? []
            : [openPort(parley, requireDialect(dialects, setting.dialect), setting, setting.port)],
        ),
      ),
  }
}

/** Stops listening at all of these ports. */
export async function closeMounts(mounts: readonly OpenMount[]): Promise<void> {
  await Promise.all(mounts.map((mount) => mount.close()))
}

/** Where one cannot be opened, those beside it are closed again. */
async function allOrNone(opening: Promise<OpenMount>[]): Promise<OpenMount[]> {
  try {
    return await Promise.all(opening)
  } catch (error) {
    const outcomes = await Promise.allSettled(opening)
    await closeMounts(outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])))
    throw error
  }
}

async function doorOf(
  parley: Parley,
  dialect: Dialect,
  setting: MountSetting | undefined,
  base: string,
): Promise<Door> {
  const { workspace, ...options } = setting?.options ?? {}
  for (const [name, value] of Object.entries(options)) {
    const form = dialect.options[name]
    if (!form)
      throw new Error(
        `${dialect.name} has no option "${name}"; it knows ${Object.keys(dialect.options).join(', ') || 'none'}`,
      )
    if (!form.test(value))
      throw new Error(`The option ${name} of ${dialect.name} is "${value}", which does not fit ${form}`)
  }
  const { id } = await findWorkspace(parley.chat.db, workspace)
  const mount: Mount = { dialect: dialect.name, workspaceId: id, base, options }
  return {
    mount,
    chat: parley.chat,
    log: parley.log.child({ dialect: dialect.name }),
    presenceOf: (userId) => parley.presence.of(userId),
    listen: (ears, options) => listen(parley, ears, options),
  }
}

function requireDialect(dialects: readonly Dialect[], name: string): Dialect {
  const dialect = dialects.find((known) => known.name === name)
  if (!dialect)
    throw new Error(
      `There is no dialect "${name}"; there are ${dialects.map((known) => known.name).join(', ')}`,
    )
  return dialect
}

async function storedMounts({ chat }: Parley): Promise<MountSetting[]> {
  const rows = await chat.db
    .selectFrom('mount')
    .innerJoin('workspace', 'workspace.id', 'mount.workspace_id')
    .select(['dialect', 'port', 'host', 'options', 'slug'])
    .execute()
  return rows.map(({ slug, ...row }) => ({ ...row, options: { ...row.options, workspace: slug } }))
}

async function openPort(
  parley: Parley,
  dialect: Dialect,
  setting: MountSetting,
  port: number,
): Promise<OpenMount> {
  const door = await doorOf(parley, dialect, setting, '')
  await using begun = new AsyncDisposableStack()
  const app = Fastify({
    loggerInstance: parley.log,
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: trustedHops(parley.chat.config.proxies),
    bodyLimit: 1_048_576,
    requestTimeout: 60_000,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 600 },
  }) as unknown as FastifyInstance
  begun.defer(() => app.close())
  await dialect.routes(app, door)
  const sockets = new WebSocketServer({ noServer: true, maxPayload: frameBytes, perMessageDeflate: false })
  const accept: UpgradeDoor = (request, socket, head) =>
    acceptWebSocket(sockets, dialect, door, parley, request, socket, head)
  const io = socketIoAt(app.server, { dialect, door })
  begun.defer(() => sendAway(sockets, io))
  routeUpgrades(app.server, [io.door, accept], dialect.otherUpgrades)
  const url = await app.listen({ host: parley.chat.config.host, port })
  const open = begun.move()
  return { dialect: dialect.name, url, close: () => open.disposeAsync() }
}

function sendAway(sockets: WebSocketServer, io: SocketIoMounts): void {
  for (const client of sockets.clients) {
    client.close(1012, 'restarting')
    setTimeout(() => client.terminate(), 2_000).unref()
  }
  io.close()
}

/** A name is the same at every port. */
const withAnyPort = (host: string) => new RegExp(`^${host.replaceAll('.', '\\.')}(:\\d+)?$`, 'i')

const isBelow = (path: string, base: string) => path === base || path.startsWith(`${base}/`)

function acceptWebSocket(
  sockets: WebSocketServer,
  dialect: Dialect,
  door: Door,
  parley: Parley,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): boolean {
  const { websocket } = dialect
  const { base } = door.mount
  const full = pathOf(request)
  if (!websocket || !full.startsWith(base)) return false
  const path = full.slice(base.length) || '/'
  if (!path.startsWith('/') || !websocket.path.test(path)) return false
  sockets.handleUpgrade(request, socket, head, (raw) => {
    const query = new URLSearchParams((request.url ?? '').split('?')[1] ?? '')
    const { address } = callerOf(request, parley.chat.config.proxies)
    websocket.accept(
      boundedSocket(raw, parley.chat.config.outboxBytes),
      { path, query, headers: request.headers, address },
      door,
    )
  })
  return true
}

/** Text in and out of a raw WebSocket; pings find vanished peers, and a queue that grows too long ends it. */
function boundedSocket(raw: WebSocket, outboxBytes: number): TextSocket {
  let alive = true
  const pings = setInterval(() => {
    if (!alive) return raw.terminate()
    alive = false
    raw.ping()
  }, 20_000)
  raw.on('pong', () => {
    alive = true
  })
  raw.on('error', () => raw.terminate())
  raw.on('close', () => clearInterval(pings))
  return {
    send: (text) => {
      if (raw.readyState !== raw.OPEN) return
      raw.send(text)
      if (raw.bufferedAmount > outboxBytes) raw.terminate()
    },
    close: (code, reason) => {
      raw.close(code, reason)
      setTimeout(() => raw.terminate(), 2_000).unref()
    },
    onText: (hear) => raw.on('message', (data) => hear(data.toString())),
    onClose: (hear) => raw.on('close', hear),
  }
}
