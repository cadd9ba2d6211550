import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { keepServing, startThread } from './embedded-thread.ts'
import { lockFolder } from './folder-lock.ts'

/** PostgreSQL inside our own process, reached like any other through a unix socket. */
export type EmbeddedStore = {
  /** for `new pg.Pool(...)`: host is the directory of the unix socket */
  connection: { host: string; port: number; user: string; database: string }
  /** how many pool connections are right for it */
  poolSize: number
  /** `D1` survives kill -9; `D1+` also writes each log record synchronously */
  durability: 'D1' | 'D1+'
  /** resolves at the first time the database dies by itself. It is started again; until then connecting fails */
  failed: Promise<Error>
  /** End the pool first: a transaction that is still open after two seconds is rolled back */
  close(): Promise<void>
}

const PORT = 5432
const SOCKET = `.s.PGSQL.${PORT}` // the name `pg` looks for

/** Opens (creates at first) the embedded PostgreSQL in `dataDir`; resolves when connections are accepted. */
export async function openEmbedded(dataDir: string): Promise<EmbeddedStore> {
  const folder = resolve(dataDir)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const lock = lockFolder(folder)
  try {
    const cluster = join(folder, 'postgres')
    await createClusterIfMissing(cluster)
    const sockets = await makeSocketFolder(folder)
    const socket = join(sockets, SOCKET)
    const thread = await keepServing({ kind: 'serve', cluster, socket }).catch(async (error) => {
      await removeSocketFolder(sockets)
      throw error
    })
    let closing: Promise<void> | undefined
    const close = async () => {
      await thread.stop()
      await removeSocketFolder(sockets)
      lock.release()
    }
    return {
      connection: { host: sockets, port: PORT, user: 'postgres', database: 'postgres' },
      poolSize: 4,
      durability: thread.durability,
      failed: thread.ended,
      close: () => {
        closing ??= close()
        return closing
      },
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

/**
 * Made beside its final place and moved there whole, so a kill in the middle leaves no half cluster that looks like
 * one. The thread that made it ends with it: initdb leaves 400 MB behind that only the end of a thread gives back.
 */
async function createClusterIfMissing(cluster: string): Promise<void> {
  if (existsSync(cluster)) return
  const unfinished = `${cluster}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  const thread = await startThread({ kind: 'create', cluster: unfinished })
  await thread.stop()
  await rename(unfinished, cluster)
}

/**
 * A unix socket's path has room for 107 bytes, so it cannot live in a data folder of any depth. Its folder is ours
 * alone (mkdtemp gives 0700). Where it is stands in the data folder, so that the next start can sweep up after kill -9.
 */
async function makeSocketFolder(folder: string): Promise<string> {
  const note = join(folder, 'socket-folder')
  const left = await readFile(note, 'utf8').catch(() => '')
  if (basename(left).startsWith(SOCKET_FOLDER)) await removeSocketFolder(left)
  const temporary = tmpdir().length > 70 ? '/tmp' : tmpdir()
  const made = await mkdtemp(join(temporary, SOCKET_FOLDER))
  await writeFile(note, made)
  return made
}

const SOCKET_FOLDER = 'parley-'

async function removeSocketFolder(path: string): Promise<void> {
  await rm(join(path, SOCKET), { force: true })
  await rmdir(path).catch(() => {}) // gone already, or somebody put something there: not ours to delete
}
