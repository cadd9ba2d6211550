import { setTimeout as wait } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Failure } from '../../src/chat/failure.ts'
import { authenticate } from '../../src/chat/sessions.ts'
import { listen } from '../../src/dialects/listening.ts'
import { type Person, startServer, type TestServer } from '../../src/testing.ts'

let server: TestServer
let olga: Person

beforeAll(async () => {
  server = await startServer({ env: { LOG_LEVEL: 'error' } })
  olga = await server.person('owner', 'olga')
  // It asks as well, whenever it finds somebody new; here it is counted who asks.
  server.running.parley.sweep.stop()
})
afterAll(() => server[Symbol.asyncDispose]())

/** Longer than anybody waits to learn who stands behind a token. */
const slowMs = 4_500

test('[G12] a store that is slow once ends no socket of a dialect, and what changed is heard of when it answers', async () => {
  const { ana, socket } = await onASocket('ana')
  const slow = beSlow()
  await wait(50)
  recheck(ana)
  await slow
  await expect.poll(() => socket.asked, { timeout: 5_000 }).toBe(2)
  expect(socket.ended).toBe(0)
  await olga.call('user.update', { userId: ana.userId, active: false })
  await expect.poll(() => socket.ended, { timeout: 5_000 }).toBe(1)
}, 20_000)

test('[G12] a socket of a dialect asks again after a fault, once a second, until it is answered', async () => {
  const { ana, socket } = await onASocket('ana')
  socket.faults = [new Error('Connection terminated unexpectedly'), new Failure('unavailable')]
  recheck(ana)
  await expect.poll(() => socket.asked, { timeout: 5_000 }).toBe(3)
  await wait(1_500)
  expect(socket).toMatchObject({ asked: 3, ended: 0 })
})

test('a socket of a dialect that is over asks no more', async () => {
  const { ana, socket, listening } = await onASocket('ana')
  socket.faults = [new Failure('unavailable')]
  recheck(ana)
  await expect.poll(() => socket.asked).toBe(1)
  listening.end()
  await wait(1_500)
  expect(socket).toMatchObject({ asked: 1, ended: 0 })
})

test('[G20] a session that has ended ends the socket of a dialect at once', async () => {
  const { ana, socket } = await onASocket('ana')
  await ana.call('auth.logout', {})
  await expect.poll(() => socket.ended, { timeout: 2_000 }).toBe(1)
  expect(socket.asked).toBe(1)
})

/** Somebody on a socket as a dialect has it, which counts what it was asked and told. */
async function onASocket(name: string) {
  const { parley } = server.running
  const ana = await server.person('contact', name)
  const nowhere = { address: null, origin: null }
  const again = () => authenticate(parley.chat, ana.token, nowhere)
  const socket = { asked: 0, ended: 0, faults: [] as Error[] }
  const ears = {
    actor: await again(),
    hear: () => {},
    reauthenticate: () => {
      socket.asked++
      const fault = socket.faults.shift()
      return fault ? Promise.reject(fault) : again()
    },
    ended: () => {
      socket.ended++
    },
  }
  const listening = await listen(parley, ears, { feed: false })
  return { ana, socket, listening }
}

function recheck({ userId }: Person): void {
  const { workspaceId } = server
  server.running.parley.chat.announce({ type: 'access', workspaceId, userIds: [userId] })
}

/** Nobody learns about sessions meanwhile. */
function beSlow(): Promise<void> {
  return server.running.parley.chat.db.transaction().execute(async (db) => {
    await sql`lock table session in access exclusive mode`.execute(db)
    await wait(slowMs)
  })
}
