import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../src/testing.ts'
import { Client } from './livesupport-client.ts'
import { type Fixture, readFixtures, readRows, replay } from './replay.ts'

const fixtures = readFixtures('livesupport')
const rows = readRows('livesupport')

let server: TestServer
let given: Record<string, string>
/** Where clients of this dialect point their base URL: below the prefix, and at a port of their own. */
let bases: Record<'prefix' | 'root', string>

beforeAll(async () => {
  server = await startServer({
    args: ['--demo'],
    env: { PARLEY_MOUNTS: 'livesupport:0,livesupport:0?expiresIn=1s' },
  })
  const [root, hasty] = server.running.mounts
  bases = { prefix: `${server.url}/livesupport`, root: root?.url ?? '' }
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

describe('the recorded exchanges', () => {
  for (const [i, fixture] of fixtures.entries()) {
    test(`${fixture.title}, below the prefix`, () => play(fixture, 'prefix', i))
    test(`${fixture.title}, at the root of a port`, () => play(fixture, 'root', i))
  }

  test('each row of the dialect is shown by one of them, and they show no other', () => {
    const shown = new Set(fixtures.flatMap((fixture) => fixture.covers))
    expect(rows.filter((row) => !shown.has(row))).toEqual([])
    expect([...shown].filter((row) => !rows.includes(row))).toEqual([])
    expect(new Set(rows).size).toBe(rows.length)
  })
})

const play = (fixture: Fixture, where: 'prefix' | 'root', i: number) =>
  replay(fixture, bases[where], { ...given, run: `${where}${i}` })

async function tokenOf(base: string, email: string): Promise<string> {
  const nobody = new Client(base)
  await nobody.post('/auth/signup', { name: 'Carla', email, password: 'password123', role: 'candidate' })
  return (await nobody.login(email, '')).token ?? ''
}
