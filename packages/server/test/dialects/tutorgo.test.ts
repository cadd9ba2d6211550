import { createSecretKey } from 'node:crypto'
import { SignJWT } from 'jose'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../src/testing.ts'
import { type Fixture, readFixtures, readRows, replay } from './replay.ts'

const mounts = [
  'tutorgo:0',
  'tutorgo:0?envelope=wrapped',
  'tutorgo:0?messageLimit=3&requestLimit=8&connectionLimit=2',
]

let demo: TestServer
let secret: string
let at: Record<'prefix' | 'root' | 'wrapped' | 'limited', string>

beforeAll(async () => {
  demo = await startServer({ args: ['--demo'], env: { PARLEY_MOUNTS: mounts.join(',') } })
  secret = demo.running.demo?.identitySecret ?? ''
  const [root = '', wrapped = '', limited = ''] = demo.running.mounts.map((mount) => mount.url)
  at = { prefix: `${demo.url}/tutorgo`, root, wrapped, limited }
})
afterAll(() => demo[Symbol.asyncDispose]())

const fixtures = readFixtures('tutorgo')
const about = (word: string) => (fixture: Fixture) =>
  fixture.covers.some((row) => row.startsWith(`${word}: `))
const isUsual = (fixture: Fixture) => !['wrapped', 'fault', 'limit'].some((word) => about(word)(fixture))

test('every row of the tables has an exchange that shows it, and no exchange shows a row that is not there', () => {
  const rows = readRows('tutorgo')
  const covered = new Set(fixtures.flatMap((fixture) => fixture.covers))
  expect(new Set(rows).size).toBe(rows.length)
  expect(rows.filter((row) => !covered.has(row))).toEqual([])
  expect([...covered].filter((row) => !rows.includes(row))).toEqual([])
})

const places = [
  ['prefix', fixtures.filter(isUsual)],
  ['root', fixtures.filter(isUsual)],
  ['wrapped', fixtures.filter(about('wrapped'))],
  ['limited', fixtures.filter(about('limit'))],
] as const

for (const [place, ofPlace] of places) {
  describe(`at the ${place} mount`, () => {
    for (const fixture of ofPlace) {
      test(fixture.title, async () => {
        await replay(fixture, at[place], await cast(secret))
      })
    }
  })
}

describe('when the store fails', () => {
  const [whole, write, nobody] = fixtures.filter(about('fault'))

  test('routes say what they could not do', async () => {
    const given = await cast(secret)
    // Known before: what fails is the work, not finding out who asks.
    await play({ title: 'everybody is known', covers: [], steps: whoIsWho }, given)
    await renamed(['table receipt', 'table participant'], () => play(whole, given))
  })

  test('a message that cannot be written is told to its sender', async () => {
    const given = await cast(secret)
    await renamed(['function append_messages'], () => play(write, given))
  })

  test('nobody is let in whom nobody can look up', async () => {
    const given = await cast(secret)
    await renamed(['table identity_key'], () => play(nobody, given))
  })
})

async function play(fixture: Fixture | undefined, given: Record<string, string>): Promise<void> {
  if (!fixture) throw new Error('There is no such exchange')
  await replay(fixture, at.prefix, given)
}

const whoIsWho: Fixture['steps'] = ['s', 't'].map((who) => ({
  http: { method: 'GET', path: `/chat/conversations/{{${who}}}`, token: `{{${who}Token}}` },
  gives: { status: 200 },
}))

async function renamed(things: string[], work: () => Promise<void>): Promise<void> {
  const { db } = demo.running.parley.chat
  const name = (thing: string) => thing.split(' ')[1]
  for (const thing of things) await sql.raw(`alter ${thing} rename to ${name(thing)}_gone`).execute(db)
  try {
    await work()
  } finally {
    for (const thing of things) await sql.raw(`alter ${thing}_gone rename to ${name(thing)}`).execute(db)
  }
}

/** Three people and an admin with tokens, and ids of pairs; a tag keeps runs apart. `a`, `a_b`, `b_c`, `c` are hard to tell apart. */
async function cast(key: string): Promise<Record<string, string>> {
  const tag = crypto.randomUUID().slice(0, 8)
  const people = {
    s: `ana-${tag}`,
    t: `tom-${tag}`,
    o: `zoe-${tag}`,
    a: `0${tag}a`,
    a_b: `0${tag}a_b`,
    b_c: `b_c${tag}`,
    c: `c${tag}`,
  }
  const { s, t, o, a, b_c } = people
  const given: Record<string, string> = {
    tag,
    ...people,
    st: `${s}_${t}`,
    ts: `${t}_${s}`,
    so: `${s}_${o}`,
    to: `${t}_${o}`,
    abc: `${a}_${b_c}`,
  }
  for (const [name, userId] of Object.entries(people)) given[`${name}Token`] = await token(key, userId)
  given.adminToken = await token(key, 'operator', { role: 'ADMIN' })
  given.expiredToken = await token(key, s, { exp: Math.floor(Date.now() / 1000) - 60 })
  given.forgedToken = await token('another secret that nobody here has ever trusted', s)
  return given
}

function token(key: string, userId: string, claims: Record<string, unknown> = {}): Promise<string> {
  const exp = Math.floor(Date.now() / 1000) + 3_600
  return new SignJWT({ userId, email: `${userId}@example.com`, role: 'student', exp, ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(createSecretKey(Buffer.from(key)))
}
