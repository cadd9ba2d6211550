import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, opendir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import type { SweptBlobs } from './chat/attachments/sweep.ts'

/** Our own ids and nothing else, so that no key can name a place outside of the folder. */
const keyForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(\.thumbnail)?$/
const unfinished = '.unfinished'

/**
 * Blobs as files. Bytes are written under a temporary name beside their place, synced, and renamed: under its key a
 * file is whole or absent, whenever the process or the power ends (promise G16).
 */
export function diskBlobs(folder: string): SweptBlobs {
  return {
    put: (key, bytes) => put(placeOf(folder, key), bytes),
    get: (key) => get(placeOf(folder, key)),
    remove: (key) => rm(placeOf(folder, key), { force: true }),
    async *keys(olderThanMs) {
      for await (const { name, path } of filesIn(folder)) {
        if (keyForm.test(name) && (await isOlder(path, olderThanMs))) yield name
      }
    },
    async sweep(olderThanMs) {
      let swept = 0
      for await (const { name, path } of filesIn(folder)) {
        if (!name.endsWith(unfinished) || !(await isOlder(path, olderThanMs))) continue
        await rm(path, { force: true })
        swept += 1
      }
      return swept
    },
  }
}

/** Spread over 256 folders by the last two digits of the id: a UUIDv7 begins with the time, and ends at random. */
function placeOf(folder: string, key: string): string {
  if (!keyForm.test(key)) throw new Error(`"${key}" is not a key of a blob`)
  return join(folder, key.slice(34, 36), key)
}

async function put(place: string, bytes: Readable): Promise<void> {
  const temporary = `${place}.${randomBytes(6).toString('hex')}${unfinished}`
  try {
    await makeFolder(dirname(place))
    await writeSynced(temporary, bytes)
    await rename(temporary, place)
    await syncFolder(dirname(place))
  } catch (error) {
    bytes.destroy()
    await rm(temporary, { force: true })
    throw error
  }
}

/** A new folder is an entry of its parent, which must reach the disk as well. */
async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (!first) return
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made))
}

async function writeSynced(path: string, bytes: Readable): Promise<void> {
  await using file = await open(path, 'wx', 0o600)
  await file.writeFile(bytes)
  await file.sync()
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r')
  await folder.sync()
}

async function get(place: string): Promise<{ bytes: Readable; size: number } | null> {
  const found = await stat(place).catch(nothingIfAbsent)
  return found && { bytes: Readable.from(read(place), { objectMode: false }), size: found.size }
}

/** Opened by the first read, closed by the last: a stream that nobody comes to read holds nothing open. */
async function* read(place: string) {
  yield* createReadStream(place)
}

async function* filesIn(folder: string): AsyncGenerator<{ name: string; path: string }> {
  const entries = await opendir(folder, { recursive: true }).catch(nothingIfAbsent)
  if (!entries) return
  for await (const entry of entries) {
    if (entry.isFile()) yield { name: entry.name, path: join(entry.parentPath, entry.name) }
  }
}

async function isOlder(path: string, ms: number): Promise<boolean> {
  const found = await stat(path).catch(nothingIfAbsent)
  return found !== null && found.mtimeMs <= Date.now() - ms
}

function nothingIfAbsent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null
  throw error
}
