import type { Beat, ControlFrame, Event, Hello, limits } from '@parley/protocol'
import type { ConnectionState, Credentials, ParleyStorage, StopReason, TransportName } from './api.ts'
import { disconnected, errorFrom, ParleyError, unanswered } from './error.ts'
import { requestMs } from './http.ts'
import { Cell } from './store.ts'
import { poll } from './transports/poll.ts'
import { sse } from './transports/sse.ts'
import type { Command, HeardFrame, Link, Lost, Transport, Wire } from './transports/transport.ts'
import { websocket } from './transports/websocket.ts'

/**
 * One connection that comes back by itself.
 *
 * States: idle → connecting → live; from both → waiting → connecting; from all → stopped → connecting by `start()`.
 *
 * - K1 connecting: ask for a token, open the transport, say hello with cursor and positions. No welcome in 8 s: lost.
 * - K2 live, on `welcome`. Each `heartbeatMs` a heartbeat goes out, and one in answer to the server's (a hidden page's
 *   timers sleep, its socket does not). Nothing heard for 40 to 45 s: lost. The server's count of events sent is not
 *   mine: lost, because something was dropped on the way.
 * - K3 lost, by kind: 4100 to 4199 stop (but 'unauthenticated' tries once more if the credentials have another
 *   token); 'token_expired' reconnects at once with another token; everything else waits.
 * - K4 waiting: full jitter, from nothing up to 1 s, doubling to 30 s; after `goodbye` up to its `withinMs`. The growth
 *   ends with the server's first heartbeat, not with the welcome: a server that welcomes and dies must not be hammered.
 *   The network or the page coming back ends the wait. So does an answer over REST, unless the last connection was
 *   welcomed: for the same reason.
 * - K5 the ladder: no welcome twice in a row steps down one rung (and from the last to the first). What worked is
 *   remembered. On a lower rung the first is tried again after 5 minutes, then 10, … up to an hour; failing once
 *   is enough to return.
 * - K6 a list position (cursor) is kept only when everything before it has arrived: from a heartbeat whose count agrees;
 *   from a welcome only when nothing had to be resumed.
 */
export type ConnectionOptions = {
  credentials: Credentials
  wire: Wire
  storage: ParleyStorage
  namespace: string
  ladder: readonly TransportName[]
  feed: boolean
  /** Positions of followed conversations, for the hello. */
  follows(): NonNullable<Hello['follow']>
  /** `resumed`: the hello carried a cursor, so that changed rows follow by themselves. */
  welcomed(userId: string, resumed: boolean): void
  event(event: Event): void
  caughtUp(conversationId: string, seq: number): void
  reset(conversationId: string | null): void
  lost(): void
  /** Tests bring their own. */
  transports?: Record<TransportName, Transport>
}

const welcomeMs = 8_000
const silenceMs: (typeof limits)['deadPeerMs'] = 45_000
const listenMs = 5_000
const climbMs = 300_000
const commandsInFlight = 200
const followsPerHello: (typeof limits)['followsPerHello'] = 200

export type Connection = ReturnType<typeof connection>

export function connection(options: ConnectionOptions) {
  const { credentials, storage, ladder } = options
  const transports = options.transports ?? { websocket, sse, poll }
  const rungKey = `${options.namespace}:transport`
  const state = new Cell<ConnectionState>({ state: 'idle' })
  /** Counts attempts; whatever an earlier attempt still says is out of date. */
  let era = 0
  let attempt = 0
  let link: Link | null = null
  let timers: ReturnType<typeof setTimeout>[] = []
  let cursor: string | undefined
  let token: string | undefined
  let refused: string | undefined
  let refusals = 0
  let tries = 0
  let heardAt = 0
  let beatAt = 0
  let received = 0
  let within: number | undefined
  let stopListening = () => {}

  // K5
  let rung = Math.max(0, ladder.indexOf(storage.get(rungKey) as TransportName))
  let home = rung
  let misses = 0
  let climbAfter = climbMs

  async function open() {
    const mine = drop()
    const name = ladder[rung] ?? 'websocket'
    state.set({ state: 'connecting', transport: name, attempt: ++attempt })
    try {
      token = await credentials.accessToken(refused)
      if (mine !== era) return
      if (token === refused) throw new ParleyError('unauthenticated', 'The token was refused.', false, 401)
    } catch (thrown) {
      if (mine !== era) return
      const error = errorFrom(thrown)
      if (error.retry) wait(error)
      else stop(error.code === 'origin_refused' ? error.code : 'unauthenticated', error)
      return
    }
    const follow = options.follows()
    const resumed = cursor !== undefined
    const hello: Hello = {
      type: 'hello',
      token,
      protocol: 1,
      feed: options.feed,
      cursor,
      follow: follow.slice(0, followsPerHello),
    }
    received = 0
    heardAt = Date.now()
    after(welcomeMs, () => lost({ reason: 'lost', error: unanswered() }))
    link = transports[name](hello, options.wire, {
      heard: () => {
        heardAt = Date.now()
      },
      lost: (why) => mine === era && lost(why),
      frame: (frame) => {
        if (mine !== era) return
        if (frame.type === 'welcome') {
          welcome(frame, name, resumed)
          for (const rest of follow.slice(followsPerHello))
            command('conversation.follow', rest).catch(() => {})
        } else take(frame)
      },
    })
    // A transport may fail before it has returned.
    if (mine !== era) link?.close()
  }

  function welcome(frame: Extract<ControlFrame, { type: 'welcome' }>, name: TransportName, resumed: boolean) {
    clearTimers()
    attempt = refusals = misses = 0
    refused = undefined
    if (!resumed) cursor = frame.cursor
    storage.set(rungKey, name)
    if (rung) after(climbAfter, climb)
    else climbAfter = climbMs
    home = rung
    every(frame.heartbeatMs, beat)
    every(listenMs, () => {
      if (Date.now() - heardAt >= silenceMs - listenMs) lost({ reason: 'lost', error: unanswered() })
    })
    state.set({ state: 'live', transport: name, userId: frame.userId, connectionId: frame.connectionId })
    options.welcomed(frame.userId, resumed)
  }

  function take(frame: Exclude<HeardFrame, { type: 'welcome' }>) {
    switch (frame.type) {
      case 'reply':
        return settle(frame.id, frame)
      case 'heartbeat':
        if (frame.sent !== received) {
          return lost({
            reason: 'lost',
            error: disconnected(),
          })
        }
        cursor = frame.cursor
        tries = 0
        if (Date.now() - beatAt > listenMs) beat()
        return
      case 'caughtup':
        return options.caughtUp(frame.conversationId, frame.seq)
      case 'reset':
        if (frame.conversationId === null) cursor = undefined
        return options.reset(frame.conversationId)
      case 'goodbye':
        within = frame.withinMs
        return after(Math.random() * frame.withinMs, open)
      default:
        received++
        options.event(frame)
    }
  }

  function lost({ reason, error }: Lost) {
    if (state.get().state !== 'live') miss()
    const until = within
    drop()
    switch (reason) {
      case 'token_expired':
        refused = token
        return refusals++ ? wait(error) : void open()
      case 'unauthenticated':
        refused = token
        return refusals++ ? stop('unauthenticated', error) : void open()
      case 'revoked':
      case 'origin_refused':
      case 'protocol_error':
        return stop(reason, error)
      default:
        if (error?.code === 'invalid_cursor') cursor = undefined
        return wait(error, until)
    }
  }

  function wait(error: ParleyError | null, withinMs = Math.min(30_000, 1000 * 2 ** tries++)) {
    const delay = Math.random() * withinMs
    state.set({ state: 'waiting', attempt, retryAt: Date.now() + delay, error })
    after(delay, open)
  }

  function stop(reason: StopReason, error: ParleyError | null = null) {
    drop()
    stopListening()
    state.set({ state: 'stopped', reason, error })
  }

  /** Lets go of the link and everything that belongs to it. Returns the number of the next attempt. */
  function drop() {
    era++
    clearTimers()
    within = undefined
    link?.close()
    link = null
    const gone = disconnected()
    const waiting = [...commands.values(), ...queue.splice(0)]
    commands.clear()
    for (const asked of waiting) {
      clearTimeout(asked.timer)
      asked.fail(gone)
    }
    if (state.get().state === 'live') {
      state.set({ state: 'waiting', attempt, retryAt: Date.now(), error: null })
      options.lost()
    }
    return era
  }

  // ---- commands

  type Asked = {
    type: string
    input: object
    timer?: ReturnType<typeof setTimeout>
    done(result: unknown): void
    fail(error: ParleyError): void
  }
  const commands = new Map<number, Asked>()
  const queue: Asked[] = []
  let lastId = 0

  /** A command over the live connection. Fails with 'disconnected' or 'timeout' when no answer came. */
  function command(type: string, input: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (state.get().state !== 'live') return reject(disconnected())
      queue.push({ type, input, done: resolve, fail: reject })
      pump()
    })
  }

  function pump() {
    while (link && queue.length && commands.size < commandsInFlight) {
      const asked = queue.shift() as Asked
      const id = ++lastId
      commands.set(id, asked)
      asked.timer = setTimeout(() => settle(id, { ok: false, error: unanswered() }), requestMs)
      link.send({ ...asked.input, type: asked.type, id } as Command)
    }
  }

  function settle(id: number, reply: { ok: boolean; result?: unknown; error?: unknown }) {
    const asked = commands.get(id)
    if (!asked) return
    commands.delete(id)
    clearTimeout(asked.timer)
    if (reply.ok) asked.done(reply.result)
    else asked.fail(errorFrom(reply.error))
    pump()
  }

  // ---- time

  function beat() {
    beatAt = Date.now()
    link?.send({ type: 'heartbeat', received } satisfies Beat)
  }

  function after(ms: number, run: () => void) {
    timers.push(setTimeout(run, ms))
  }

  function every(ms: number, run: () => void) {
    timers.push(setInterval(run, ms))
  }

  function clearTimers() {
    for (const timer of timers) clearTimeout(timer)
    timers = []
  }

  // ---- the ladder

  function miss() {
    if (globalThis.navigator?.onLine === false) return
    if (rung !== home && rung === 0 && home > 0) {
      rung = home
      return
    }
    if (++misses < 2) return
    misses = 0
    home = rung = (rung + 1) % ladder.length
  }

  function climb() {
    climbAfter = Math.min(climbAfter * 2, 3_600_000)
    rung = 0
    void open()
  }

  // ---- the page and the network around us

  function listen() {
    const { window: page, document } = globalThis as { window?: Window; document?: Document }
    if (!page?.addEventListener || !document) return
    const ending = new AbortController()
    const { signal } = ending
    stopListening = () => ending.abort()
    // Sockets of before are dead after a change of network, and after a stay in the back-forward cache.
    page.addEventListener('online', reconnect, { signal })
    page.addEventListener('pagehide', (event) => event.persisted && link && pause(), { signal })
    page.addEventListener('pageshow', (event) => event.persisted && reconnect(), { signal })
    document.addEventListener('visibilitychange', () => document.hidden || wake(), { signal })
  }

  function wake() {
    const now = state.get().state
    if (now === 'waiting' || (now === 'live' && Date.now() - heardAt >= silenceMs - listenMs)) void open()
  }

  function pause() {
    drop()
    wait(null)
  }

  function reconnect() {
    const now = state.get().state
    if (now !== 'idle' && now !== 'stopped') void open()
  }

  return {
    state,
    command,
    reconnect,
    /** The server has answered over REST (K4). */
    answered() {
      if (attempt && state.get().state === 'waiting') void open()
    },
    /** The position a list was read at; counts only if there is none yet and nothing is live (K6). */
    startFrom(position: string) {
      if (state.get().state !== 'live') cursor ??= position
    },
    start() {
      const now = state.get().state
      if (now !== 'idle' && now !== 'stopped') return
      attempt = tries = refusals = 0
      refused = undefined
      listen()
      void open()
    },
    close: () => stop('closed'),
  }
}
