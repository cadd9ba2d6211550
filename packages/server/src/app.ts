import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { limits } from '@parley/protocol'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { diskBlobs } from './blobs-disk.ts'
import { sweepAttachments } from './chat/attachments.ts'
import type { Announcement, Chat } from './chat/chat.ts'
import { removeExpiredSessions } from './chat/expired-sessions.ts'
import { readLog } from './chat/log.ts'
import { announceWritten } from './chat/messages.ts'
import { SendQueue } from './chat/send-queue.ts'
import { forget } from './chat/sessions.ts'
import { ensureFirstStart } from './chat/setup.ts'
import type { Config } from './config.ts'
import { type DemoSignIn, makeDemo } from './demo.ts'
import { dialects } from './dialects/dialects.ts'
import { closeMounts, mountDialects } from './dialects/mounts.ts'
import { makeHttp } from './http/http.ts'
import { makeMetrics } from './metrics.ts'
import type { Parley, Peer } from './parley.ts'
import type { Fanout } from './realtime/fanout.ts'
import { memoryFanout } from './realtime/fanout-memory.ts'
import { Hub } from './realtime/hub.ts'
import { Presence } from './realtime/presence.ts'
import { Sweep } from './realtime/sweep.ts'
import { routeUpgrades } from './realtime/upgrades.ts'
import { webSocketDoor } from './realtime/websocket.ts'
import { openStore } from './store/store.ts'

export type Running = AsyncDisposable & {
  url: string
  parley: Parley
  http: FastifyInstance
  /** The one-time link that makes the first owner; null once there is one. */
  setupUrl: string | null
  /** Dialects that answer at the root of a port. */
  mounts: readonly { dialect: string; url: string }[]
  /** How to sign in to the example workspace of `--demo`. */
  demo: DemoSignIn | null
  /** Stops gracefully: peers are sent away, sends in flight are answered, then everything closes (promise G10). */
  stop(): Promise<void>
}

/**
 * Puts the parts together and listens. The only file that knows every part. A start that fails undoes what it had begun:
 * nothing of it keeps the process alive, a port open or the data folder locked.
 */
export async function startServer(
  config: Config,
  log: Logger,
  fanout: Fanout = memoryFanout(),
): Promise<Running> {
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 })
  await using begun = new AsyncDisposableStack()
  begun.defer(() => fanout.close())
  const store = await openStore(config)
  begun.defer(() => store.close())
  if (config.requireDurability && !keeps(store.durability, config.requireDurability)) {
    throw new Error(
      `REQUIRE_DURABILITY is ${config.requireDurability}, but this store keeps ${store.durability}`,
    )
  }
  const peers = new Set<Peer>()
  const metrics = makeMetrics(() => ({ connections: peers.size }))
  const announce = (announcement: Announcement) => fanout.announce(announcement)
  const sends = new SendQueue(
    store.pool,
    store.writers,
    async (written) => {
      metrics.batches.observe(written.length)
      metrics.messages.inc(written.length)
      await announceWritten(chat, written).catch((error: unknown) => {
        log.error({ err: error }, 'a committed batch was not announced; the sweep will find it')
        announceUncertain(written.map(({ draft }) => draft.conversationId))
      })
    },
    (conversationIds) => announceUncertain(conversationIds),
  )
  const announceUncertain = (conversationIds: string[]) => announce({ type: 'uncertain', conversationIds })
  const chat: Chat = {
    store,
    db: store.db,
    config,
    sends,
    blobs: diskBlobs(join(config.dataDir, 'files')),
    announce,
  }
  const hub = new Hub(
    (conversation, after, limit) => readLog(store.db, conversation, after, limit),
    (error, conversationId) => log.error({ err: error, conversationId }, 'a log cannot be read'),
  )
  const presence = new Presence()
  begun.defer(() => presence.close())
  const sweep = new Sweep(chat, hub, (error) =>
    log.warn({ err: error }, 'the sweep failed; it will look again'),
  )
  const parley: Parley = { chat, hub, presence, sweep, peers, metrics, log, isDraining: false }
  fanout.listen((announcement) => {
    if (announcement.type === 'access') forget(chat, announcement.userIds)
    hub.hear(announcement)
  })

  const { workspaceId, setupToken } = await ensureFirstStart(chat)
  const demo = config.demo ? await makeDemo(chat, workspaceId) : null
  await sweep.start()
  begun.defer(() => sweep.stop())
  const http = await makeHttp(parley)
  begun.defer(() => closeHttp(http))
  const mounts = await mountDialects(http, parley, dialects, config.mounts)
  await http.ready()
  routeUpgrades(http.server, [webSocketDoor(parley), mounts.door])
  begun.defer(startUpkeep(parley))
  await http.listen({ host: config.host, port: config.port })
  const { port } = http.server.address() as AddressInfo
  const openMounts = await mounts.open()
  begun.defer(() => closeMounts(openMounts))
  const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`
  const setupUrl = setupToken && !demo && `${config.publicUrl ?? url}/desk#setup=${setupToken}`
  await keepSetupLink(config, setupUrl || null)

  const running = begun.move()
  let stopping: Promise<void> | undefined
  const stop = () => {
    stopping ??= (async () => {
      parley.isDraining = true
      await drain(parley)
      await running.disposeAsync()
    })()
    return stopping
  }
  return {
    url,
    parley,
    http,
    setupUrl: setupUrl || null,
    demo,
    mounts: openMounts,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

const order = ['D1', 'D1+', 'D2']
const keeps = (has: string, wants: string) => order.indexOf(has) >= order.indexOf(wants)

/** Peers are asked to come back elsewhere at random moments, so that the next node is not met by all of them at once. */
async function drain({ chat, peers }: Parley): Promise<void> {
  for (const peer of peers) peer.sayGoodbye(2_000)
  const deadline = performance.now() + chat.config.drainMs
  while (performance.now() < deadline && [...peers].some((peer) => peer.isBusy)) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await Promise.race([
    chat.sends.drain(),
    new Promise((resolve) => setTimeout(resolve, Math.max(0, deadline - performance.now())).unref()),
  ])
  const closing = [...peers]
  for (const peer of closing) peer.close('restarting')
  // A poll that was between two requests comes for its last words in a moment.
  const patience = performance.now() + 1_000
  while (performance.now() < patience && closing.some((peer) => peer.hasUnsent)) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A connection whose last answer left before we began to close would stay open, idle, for as long as its client likes. */
async function closeHttp(http: FastifyInstance): Promise<void> {
  const idle = setInterval(() => http.server.closeIdleConnections(), 50)
  const rest = setTimeout(() => http.server.closeAllConnections(), 3_000)
  try {
    await http.close()
  } finally {
    clearInterval(idle)
    clearTimeout(rest)
  }
}

const slices = 20

/** Heartbeats in slices, so that ten thousand connections are not written to in one turn; and what uploads and sessions leave behind. */
function startUpkeep({ chat, peers, sweep, log }: Parley): () => void {
  const places = new WeakMap<Peer, number>()
  let slice = 0
  let next = 0
  const beats = setInterval(() => {
    slice = (slice + 1) % slices
    for (const peer of peers) {
      peer.reap()
      // A place that is kept means a beat in every round, whoever comes or goes.
      const place = places.get(peer) ?? next++ % slices
      places.set(peer, place)
      if (place === slice) peer.beat(sweep.cursor)
    }
  }, limits.heartbeatMs / slices)
  const leftovers = setInterval(() => {
    sweepAttachments(chat, 3_600_000).catch((error: unknown) =>
      log.warn({ err: error }, 'could not sweep uploads'),
    )
    removeExpiredSessions(chat).catch((error: unknown) =>
      log.warn({ err: error }, 'could not remove expired sessions'),
    )
  }, 600_000)
  return () => {
    clearInterval(beats)
    clearInterval(leftovers)
  }
}

/** The link also lies in a file that only the operator can read, for those who missed it on the screen. */
async function keepSetupLink(config: Config, setupUrl: string | null): Promise<void> {
  const file = join(config.dataDir, 'setup-link')
  if (!setupUrl) return rm(file, { force: true })
  await writeFile(file, `${setupUrl}\n`, { mode: 0o600 })
  await chmod(file, 0o600)
}
