import type { Hello } from '@parley/protocol'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Credentials, TransportName } from './api.ts'
import { connection } from './connection.ts'
import { ParleyError } from './error.ts'
import { http } from './http.ts'
import { memoryStorage } from './storage.ts'
import type { HeardFrame, Lost, Told, Transport } from './transports/transport.ts'

beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(Math, 'random').mockReturnValue(1)
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** A connection whose transports are played by the test. */
function setting(given: { credentials?: Credentials; storage?: ReturnType<typeof memoryStorage> } = {}) {
  const opened: { name: TransportName; hello: Hello; told: Told; sent: unknown[]; closed: boolean }[] = []
  const play =
    (name: TransportName): Transport =>
    (hello, _wire, told) => {
      const one = { name, hello, told, sent: [] as unknown[], closed: false }
      opened.push(one)
      return {
        send: (frame) => void one.sent.push(frame),
        close: () => {
          one.closed = true
        },
      }
    }
  const heard = { events: [] as unknown[], resets: [] as unknown[], welcomes: [] as unknown[] }
  const subject = connection({
    credentials: given.credentials ?? { accessToken: async () => 'token' },
    wire: { http: http({ baseUrl: '' }), WebSocket: undefined },
    storage: given.storage ?? memoryStorage(),
    namespace: 'test',
    ladder: ['websocket', 'sse', 'poll'],
    feed: true,
    follows: () => [{ conversationId: 'c', after: 3 }],
    welcomed: (userId, resumed) => void heard.welcomes.push({ userId, resumed }),
    event: (event) => void heard.events.push(event),
    caughtUp: () => {},
    reset: (id) => void heard.resets.push(id),
    lost: () => {},
    transports: { websocket: play('websocket'), sse: play('sse'), poll: play('poll') },
  })
  const last = () => {
    const one = opened.at(-1)
    if (!one) throw new Error('nothing was opened')
    return one
  }
  return {
    subject,
    opened,
    heard,
    last,
    state: () => subject.state.get(),
    async start() {
      subject.start()
      await vi.advanceTimersByTimeAsync(0)
    },
    frame(frame: object) {
      last().told.heard()
      last().told.frame(frame as HeardFrame)
    },
    welcome() {
      this.frame({
        type: 'welcome',
        connectionId: 'x',
        userId: 'ana',
        cursor: 'w',
        heartbeatMs: 20_000,
        protocol: 1,
      })
    },
    /** Exactly to the next attempt, and how long that took. */
    async nextAttempt() {
      const now = subject.state.get()
      if (now.state !== 'waiting') throw new Error(now.state)
      const ms = now.retryAt - Date.now()
      await vi.advanceTimersByTimeAsync(ms)
      return ms
    },
    async lose(reason: Lost['reason'] = 'lost', ms = 0) {
      last().told.lost({ reason, error: null })
      await vi.advanceTimersByTimeAsync(ms)
    },
  }
}

const presence = { type: 'presence.changed', presence: { userId: 'x', state: 'online', lastSeenAt: null } }

describe('the connection', () => {
  test('[K1] goes from idle over connecting to live, and says hello with its positions', async () => {
    const s = setting()
    expect(s.state()).toEqual({ state: 'idle' })
    await s.start()
    expect(s.state()).toEqual({ state: 'connecting', transport: 'websocket', attempt: 1 })
    expect(s.last().hello).toMatchObject({
      token: 'token',
      feed: true,
      follow: [{ conversationId: 'c', after: 3 }],
    })
    expect(s.last().hello.cursor).toBeUndefined()
    s.welcome()
    expect(s.state()).toEqual({ state: 'live', transport: 'websocket', userId: 'ana', connectionId: 'x' })
    expect(s.heard.welcomes).toEqual([{ userId: 'ana', resumed: false }])
    s.subject.close()
  })

  test('[K1] gives up on a transport that does not welcome within 8 seconds', async () => {
    const s = setting()
    await s.start()
    await vi.advanceTimersByTimeAsync(8_000)
    expect(s.opened[0]?.closed).toBe(true)
    expect(s.state().state).toBe('waiting')
    s.subject.close()
  })

  test('[K2] finds a dead server within 45 seconds, and resumes', async () => {
    const s = setting()
    await s.start()
    s.welcome()
    await vi.advanceTimersByTimeAsync(39_000)
    expect(s.state().state).toBe('live')
    await vi.advanceTimersByTimeAsync(6_000)
    expect(s.opened[0]?.closed).toBe(true)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(s.last().hello.cursor).toBe('w')
    s.subject.close()
  })

  test('[K2] beats on time, and answers the server’s heartbeat', async () => {
    const s = setting()
    await s.start()
    s.welcome()
    s.frame(presence)
    await vi.advanceTimersByTimeAsync(20_000)
    expect(s.last().sent).toEqual([{ type: 'heartbeat', received: 1 }])
    await vi.advanceTimersByTimeAsync(10_000)
    s.frame({ type: 'heartbeat', cursor: 'h', sent: 1 })
    expect(s.last().sent).toHaveLength(2)
    s.subject.close()
  })

  test('[K2] [K6] a count that is not mine means something was lost: resume from before it', async () => {
    const s = setting()
    await s.start()
    s.welcome()
    s.frame(presence)
    s.frame({ type: 'heartbeat', cursor: 'one', sent: 1 })
    s.frame({ type: 'heartbeat', cursor: 'three', sent: 3 })
    expect(s.opened[0]?.closed).toBe(true)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(s.last().hello.cursor).toBe('one')
    s.subject.close()
  })

  test('[K6] the cursor of a welcome that resumes is not kept: what it promises has not arrived yet', async () => {
    const s = setting()
    await s.start()
    s.welcome()
    s.frame({ type: 'heartbeat', cursor: 'one', sent: 0 })
    await s.lose('lost', 1_000)
    s.frame({
      type: 'welcome',
      connectionId: 'y',
      userId: 'ana',
      cursor: 'two',
      heartbeatMs: 20_000,
      protocol: 1,
    })
    expect(s.heard.welcomes.at(-1)).toEqual({ userId: 'ana', resumed: true })
    await s.lose('lost', 2_000)
    expect(s.last().hello.cursor).toBe('one')
    s.subject.close()
  })

  for (const reason of ['revoked', 'origin_refused', 'protocol_error'] as const) {
    test(`[C1] [K3] stops when ${reason}, and start begins again`, async () => {
      const s = setting()
      await s.start()
      s.welcome()
      await s.lose(reason, 60_000)
      expect(s.state()).toMatchObject({ state: 'stopped', reason })
      expect(s.opened).toHaveLength(1)
      await s.start()
      expect(s.opened).toHaveLength(2)
      s.subject.close()
    })
  }

  test('[C2] [K3] an expired token is swapped and the connection made at once', async () => {
    const accessToken = vi.fn(async (refused?: string) => (refused === 'old' ? 'new' : 'old'))
    const s = setting({ credentials: { accessToken } })
    await s.start()
    s.welcome()
    await s.lose('token_expired')
    expect(s.last().hello.token).toBe('new')
    s.subject.close()
  })

  test('[C1] [K3] credentials that know no other token stop the connection', async () => {
    const s = setting()
    await s.start()
    await s.lose('unauthenticated')
    expect(s.state()).toMatchObject({ state: 'stopped', reason: 'unauthenticated' })
  })

  test('[K3] credentials that cannot be reached now are asked again later', async () => {
    const accessToken = vi
      .fn()
      .mockRejectedValueOnce(new ParleyError('network', 'Away.'))
      .mockResolvedValue('t')
    const s = setting({ credentials: { accessToken } })
    await s.start()
    expect(s.state().state).toBe('waiting')
    await vi.advanceTimersByTimeAsync(1_000)
    expect(s.state().state).toBe('connecting')
    s.subject.close()
  })

  test('[T15] [K4] waits longer each time, up to 30 seconds, until a heartbeat has come', async () => {
    const s = setting()
    await s.start()
    const waits: number[] = []
    for (let n = 0; n < 7; n++) {
      s.welcome()
      await s.lose()
      waits.push(await s.nextAttempt())
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    s.welcome()
    s.frame({ type: 'heartbeat', cursor: 'h', sent: 0 })
    await s.lose('lost', 1_000)
    expect(s.state().state).toBe('connecting')
    vi.mocked(Math.random).mockReturnValue(0.25)
    await s.lose()
    expect(await s.nextAttempt()).toBe(500)
    s.subject.close()
  })

  test('[K4] an answer over REST ends the wait for a server that was away', async () => {
    const s = setting()
    await s.start()
    await s.lose()
    await s.nextAttempt()
    await s.lose()
    expect(s.state().state).toBe('waiting')
    s.subject.answered()
    expect(s.state().state).toBe('connecting')
    s.subject.answered()
    await vi.advanceTimersByTimeAsync(0)
    expect(s.opened).toHaveLength(3)
    s.subject.close()
  })

  test('[K4] the network and the page coming back end the wait', async () => {
    const [window, document] = [new EventTarget(), Object.assign(new EventTarget(), { hidden: false })]
    vi.stubGlobal('window', window)
    vi.stubGlobal('document', document)
    const s = setting()
    await s.start()
    for (const back of [
      () => window.dispatchEvent(new Event('online')),
      () => document.dispatchEvent(new Event('visibilitychange')),
    ]) {
      await s.lose()
      expect(s.state().state).toBe('waiting')
      back()
      expect(s.state().state).toBe('connecting')
      await vi.advanceTimersByTimeAsync(0)
    }
    s.subject.close()
    vi.unstubAllGlobals()
  })

  test('[K4] a server that welcomes and dies is not hammered because it answers over REST', async () => {
    const s = setting()
    await s.start()
    s.welcome()
    await s.lose()
    s.subject.answered()
    expect(s.state().state).toBe('waiting')
    s.subject.close()
    s.subject.answered()
    expect(s.state().state).toBe('stopped')
  })

  test('[K4] a goodbye is followed within the time it names', async () => {
    const s = setting()
    await s.start()
    s.welcome()
    s.frame({ type: 'goodbye', reason: 'restarting', withinMs: 4_000 })
    await vi.advanceTimersByTimeAsync(3_999)
    expect(s.opened).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(s.opened).toHaveLength(2)
    s.subject.close()
  })

  test('[T15] [K5] steps down after two misses, remembers what worked, and climbs again', async () => {
    const storage = memoryStorage()
    const s = setting({ storage })
    await s.start()
    for (let n = 0; n < 4; n++) {
      await s.lose()
      await s.nextAttempt()
    }
    expect(s.opened.map((one) => one.name)).toEqual(['websocket', 'websocket', 'sse', 'sse', 'poll'])
    s.welcome()
    s.subject.close()

    const later = setting({ storage })
    await later.start()
    expect(later.last().name).toBe('poll')
    later.welcome()
    for (let n = 0; n < 15; n++) {
      later.frame({ type: 'heartbeat', cursor: 'h', sent: 0 })
      await vi.advanceTimersByTimeAsync(20_000)
    }
    expect(later.last().name).toBe('websocket')
    await later.lose()
    await later.nextAttempt()
    expect(later.last().name).toBe('poll')
    later.subject.close()
  })

  test('a command fails as disconnected when the line is lost, and as timeout when no answer comes', async () => {
    const s = setting()
    await s.start()
    s.welcome()
    const answered = s.subject.command('unread.get', {})
    const lost = s.subject.command('unread.get', {}).catch((error) => error.code)
    s.frame({ type: 'reply', id: 1, ok: true, result: { messages: 2 } })
    expect(await answered).toEqual({ messages: 2 })
    await s.lose('lost', 1_000)
    expect(await lost).toBe('disconnected')
    s.welcome()
    const silent = s.subject.command('unread.get', {}).catch((error) => error.code)
    await vi.advanceTimersByTimeAsync(20_000)
    expect(await silent).toBe('timeout')
    s.subject.close()
  })

  test('close ends everything: no timer is left', async () => {
    const s = setting()
    await s.start()
    s.welcome()
    void s.subject.command('unread.get', {}).catch(() => {})
    s.subject.close()
    expect(s.state()).toMatchObject({ state: 'stopped', reason: 'closed' })
    expect(vi.getTimerCount()).toBe(0)
  })
})
