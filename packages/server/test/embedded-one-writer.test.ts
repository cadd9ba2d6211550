import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { exitOf, makePlace, Person, type Place, spawnMain, spawnServer, startServer } from '../src/testing.ts'

/** ana and her conversation, made in this process before the servers under test begin. */
async function cast(place: Place) {
  await using server = await startServer({ place })
  const ana = await server.person('contact', 'ana')
  const { conversation } = await ana.call('conversation.create', { kind: 'support' })
  return { id: conversation.id, anaAt: (url: string) => new Person(url, ana.userId, ana.name, ana.token) }
}

test('[G19] a second server on the same folder is told why within 5 s and touches nothing; the first goes on, whole', async () => {
  const place = await makePlace()
  const { id, anaAt } = await cast(place)
  const first = await spawnServer(place)
  let second: ChildProcess | undefined
  try {
    const ana = anaAt(first.url)
    const sent = []
    for (let i = 0; i < 20; i++) sent.push(await ana.send(id, `before ${i}`))

    // Stopped meanwhile, so that whatever changes now was changed by the second.
    process.kill(first.pid, 'SIGSTOP')
    const before = everyFile(place)
    second = spawnMain(place)
    let said = ''
    second.stderr?.on('data', (data) => {
      said += data
    })
    expect(await Promise.race([exitOf(second), wait(5_000, 'still running after 5 s')])).toBe(1)
    expect(everyFile(place)).toEqual(before)
    process.kill(first.pid, 'SIGCONT')
    expect(said).toBe(
      `Parley cannot start: The data folder ${place.env.DATA_DIR} is held by another process. Two at once would ` +
        'destroy it, so this one stops here and has changed nothing. Stop the other process, or give this one a ' +
        'data folder of its own.\n',
    )

    for (let i = 0; i < 20; i++) sent.push(await ana.send(id, `after ${i}`))
    const { messages } = await ana.call('message.list', { conversationId: id })
    expect(messages).toEqual(sent)
  } finally {
    second?.kill('SIGKILL')
    await first.kill()
    await place.remove()
  }
}, 120_000)

test('[G19] after kill -9 the lock is stale: the next server takes it over and has everything', async () => {
  const place = await makePlace()
  try {
    const { id, anaAt } = await cast(place)
    const sent = []
    for (let life = 0; life < 3; life++) {
      await using server = await spawnServer(place)
      const ana = anaAt(server.url)
      expect((await ana.call('message.list', { conversationId: id })).messages).toEqual(sent)
      for (let i = 0; i < 10; i++) sent.push(await ana.send(id, `life ${life}, ${i}`))
    }
    await using server = await startServer({ place })
    const { messages, lastSeq } = await anaAt(server.url).call('message.list', { conversationId: id })
    expect(messages).toEqual(sent)
    expect(lastSeq).toBe(sent.length + 2)
  } finally {
    await place.remove()
  }
}, 120_000)

/** Every file of the data folder with its size, time and content. */
function everyFile({ env }: Place): Record<string, string> {
  const folder = env.DATA_DIR ?? ''
  const found: Record<string, string> = {}
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const { size, mtimeMs } = statSync(path)
    const content = entry.name.startsWith('lock.sqlite')
      ? ''
      : createHash('sha256').update(readFileSync(path)).digest('hex')
    found[path] = `${size} ${mtimeMs} ${content}`
  }
  return found
}
