import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

export type FolderLock = { release(): void }

/**
 * Takes the one exclusive lock on a data folder, or throws within about a second.
 *
 * The lock is a write transaction that is never finished on an empty SQLite file, so it is the kernel that holds it
 * and the kernel that lets go when the process dies, `kill -9` included. A file with a pid in it can do neither.
 *
 * @NOTE Never open `lock.sqlite` in this process by other means (a backup that copies it, say): closing any
 * descriptor of the file drops the lock, as POSIX wants it.
 */
export function lockFolder(folder: string): FolderLock {
  const file = new DatabaseSync(join(folder, 'lock.sqlite'), { timeout: 1_000 })
  try {
    file.exec('pragma locking_mode = exclusive; begin exclusive')
  } catch (error) {
    file.close()
    throw isBusy(error) ? new FolderInUse(folder) : error
  }
  return { release: () => file.close() }
}

/** Another process, or another part of this one, holds the data folder. */
export class FolderInUse extends Error {
  override name = 'FolderInUse'
  constructor(folder: string) {
    super(
      `The data folder ${folder} is held by another process. Two at once would destroy it, so this one stops here ` +
        'and has changed nothing. Stop the other process, or give this one a data folder of its own.',
    )
  }
}

const SQLITE_BUSY = 5

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY
}
