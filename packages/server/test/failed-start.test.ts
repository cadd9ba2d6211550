import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { exitOf, makePlace, type Place, spawnMain, startServer } from '../src/testing.ts'

test('a start that finds its port taken ends by itself, says so, and lets go of the data folder', async () => {
  await using taken = await takePort()
  const { port } = taken.address() as AddressInfo
  const said = await failToStart({ PORT: String(port) })
  expect(said).toMatch(new RegExp(`^Parley cannot start: port ${port} is taken; .* set PORT .*\\n$`))
}, 120_000)

test('a start with a mount that cannot be ends by itself, says why, and lets go of the data folder', async () => {
  const said = await failToStart({ PARLEY_MOUNTS: 'servicehub?typo=1' })
  expect(said).toMatch(/^Parley cannot start: servicehub has no option "typo"; it knows \w.*\n$/)
}, 120_000)

test('a start that finds the port of a mount taken opens none of the others', async () => {
  await using taken = await takePort()
  const { port } = taken.address() as AddressInfo
  const [main, beside] = [await freePort(), await freePort()]
  const said = await failToStart({
    PORT: String(main),
    PARLEY_MOUNTS: `servicehub:${beside},priyo:${port}`,
  })
  expect(said).toMatch(new RegExp(`^Parley cannot start: port ${port} is taken; .* set PORT .*\\n$`))
}, 120_000)

/** What a process says that does not come to start; after it, another has the same place at once. */
async function failToStart(env: Record<string, string>): Promise<string> {
  const place = await makePlace()
  let child: ChildProcess | undefined
  try {
    // Pages that are not built are warned of, and are not what this is about.
    child = spawnMain(place, { LOG_LEVEL: 'error', ...env })
    let said = ''
    child.stderr?.on('data', (data) => {
      said += data
    })
    expect(await Promise.race([exitOf(child), wait(30_000, 'still running after 30 s')])).toBe(1)
    await expectUsable(place)
    return said
  } finally {
    child?.kill('SIGKILL')
    await place.remove()
  }
}

async function expectUsable(place: Place): Promise<void> {
  await using server = await startServer({ place })
  expect((await server.rest('GET', '/ready')).status).toBe(200)
}

async function takePort(): Promise<Server> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

async function freePort(): Promise<number> {
  await using server = await takePort()
  return (server.address() as AddressInfo).port
}
