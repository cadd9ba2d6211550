import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { startServer, type TestServer } from '../../src/testing.ts'
import { Client } from './livesupport-client.ts'
import { type Fixture, readFixtures, readRows, replay } from './replay.ts'

const fixtures = readFixtures('livesupport')
const rows = readRows('livesupport')

let server: TestServer
let given: Record<string, string>
/** Where clients of this dialect point their base URL: below the prefix, at a port and at a host name of their own. */
let bases: Record<'prefix' | 'root' | 'host', string>

beforeAll(async () => {
  server = await startServer({
    args: ['--demo'],
    env: { PARLEY_MOUNTS: 'livesupport:0,livesupport:0?expiresIn=1s,livesupport@localhost' },
  })
  const [root, hasty] = server.running.mounts
  bases = {
    prefix: `${server.url}/livesupport`,
    root: root?.url ?? '',
    host: server.url.replace('127.0.0.1', 'localhost'),
  }
  const expired = await tokenOf(hasty?.url ?? '', 'hasty@example.com')
  const gone = await tokenOf(bases.prefix, 'gone@example.com')
  await server.running.parley.chat.db
    .updateTable('person')
    .set({ deactivated_at: new Date().toISOString() })
    .where('email', '=', 'gone@example.com')
    .execute()
  await new Promise((resolve) => setTimeout(resolve, 2_100))
  given = { expiredToken: expired, goneToken: gone, expired, gone, bad: `${gone.slice(0, -4)}AAAA` }
}, 60_000)

afterAll(() => server[Symbol.asyncDispose]())

const shownBelow = new Set<string>()

/** A test of its own for a row that no recorded exchange can show. */
function shows(row: string, title: string, work: () => Promise<void>): void {
  shownBelow.add(row)
  test(title, work)
}

describe('the recorded exchanges', () => {
  for (const [i, fixture] of fixtures.entries()) {
    test(`${fixture.title}, below the prefix`, () => play(fixture, 'prefix', i))
    test(`${fixture.title}, at the root of a port`, () => play(fixture, 'root', i))
  }

  test('each row of the dialect is shown by one of them or below, and they show no other', () => {
    const shown = new Set([...fixtures.flatMap((fixture) => fixture.covers), ...shownBelow])
    expect(rows.filter((row) => !shown.has(row))).toEqual([])
    expect([...shown].filter((row) => !rows.includes(row))).toEqual([])
    expect(new Set(rows).size).toBe(rows.length)
  })
})

describe('what no exchange can show', () => {
  shows('WS /ws: ping frames', 'a socket is pinged, and ended when it does not answer', async () => {
    for (const base of Object.values(bases)) {
      const carla = await new Client(base).person('candidate')
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
      try {
        const lively = await socketOf(carla)
        const dead = await socketOf(carla, { autoPong: false })
        for (const closed of [once(dead, 'ping'), once(dead, 'close')]) {
          const pinged = once(lively, 'ping')
          vi.advanceTimersByTime(20_000)
          await Promise.all([pinged, closed])
          // Its answer to the ping was sent before this, so it has arrived when this is answered.
          lively.send('null')
          const [frame] = await once(lively, 'message')
          expect(JSON.parse(String(frame)).data).toEqual({ message: 'Invalid request schema' })
        }
        lively.terminate()
      } finally {
        vi.useRealTimers()
      }
    }
  })

  shows('WS /ws: other paths', 'an upgrade on any other path is answered with 400', async () => {
    for (const base of Object.values(bases)) {
      for (const path of ['/', '/ws/', '/ws/more', '/socket', '/auth/me', '/socket.io/x'])
        expect(await upgradeOf(`${base}${path}`), path).toBe(400)
    }
    expect(await upgradeOf(bases.root)).toBe(400)
    expect(await upgradeOf(`${server.url}/nobody/ws`)).toBe(404)
  })

  shows(
    'GET /supervisors: nobody else',
    'of the lists of people each names those it is about, and all',
    async () => {
      const nobody = new Client(bases.root)
      const sam = await nobody.person('supervisor')
      const alex = await nobody.person('agent', { supervisorId: sam.id })
      const [ada, carla] = [await nobody.person('admin'), await nobody.person('candidate')]
      const list = async (path: string): Promise<Record<string, string>[]> => (await ada.get(path)).body.data
      const supervisors = await list('/supervisors')
      const agents = await list('/agents')
      for (const one of supervisors) expect(Object.keys(one)).toEqual(['_id', 'name'])
      for (const one of agents) expect(Object.keys(one)).toEqual(['_id', 'name', 'email', 'supervisorId'])
      const [leading, answering] = [supervisors, agents].map((some) => some.map((one) => one._id))
      expect(leading).toContain(sam.id)
      expect(answering).toContain(alex.id)
      for (const id of [alex.id, ada.id, carla.id]) expect(leading).not.toContain(id)
      for (const id of [sam.id, ada.id, carla.id]) expect(answering).not.toContain(id)
      const counted = (await list('/admin/analytics')).map((one) => one.supervisorId ?? '')
      expect(new Set(counted).size).toBe(counted.length)
      expect(new Set(counted)).toEqual(new Set(leading))
      const chat = await carla.open(sam)
      const later = await (await nobody.person('candidate')).open(sam)
      const chats = (await list('/conversations')).map((one) => one._id)
      expect(chats.slice(0, 2)).toEqual([later, chat])
    },
  )
})

const upgradeOf = (url: string) =>
  new Promise<number | undefined>((resolve) => {
    new WebSocket(url.replace(/^http/, 'ws'))
      .on('unexpected-response', (_request, response) => resolve(response.statusCode))
      .on('open', () => resolve(101))
      .on('error', () => {})
  })

async function socketOf({ base, token }: Client, options = {}): Promise<WebSocket> {
  const socket = new WebSocket(`${base.replace(/^http/, 'ws')}/ws?token=${token}`, options)
  await once(socket, 'open')
  return socket
}

const play = (fixture: Fixture, where: 'prefix' | 'root', i: number) =>
  replay(fixture, bases[where], { ...given, run: `${where}${i}` })

async function tokenOf(base: string, email: string): Promise<string> {
  const nobody = new Client(base)
  await nobody.post('/auth/signup', { name: 'Carla', email, password: 'password123', role: 'candidate' })
  return (await nobody.login(email, '')).token ?? ''
}
