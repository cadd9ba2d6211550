import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { openStore, type Store } from '../packages/server/src/store/store.ts'

export type StoreKind = 'postgres' | 'embedded'

const postgresUrl = process.env.TEST_DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres'
let made = 0

/**
 * A database of the bench's own, gone when its scope is left. The embedded one belongs to one process at a time, so
 * `open` is for before the server starts and after it has stopped.
 */
export class Place implements AsyncDisposable {
  readonly dataDir: string
  readonly databaseUrl: string | null

  static async make(kind: StoreKind): Promise<Place> {
    const dataDir = await mkdtemp(join(tmpdir(), 'parley-bench-'))
    if (kind === 'embedded') return new Place(dataDir, null)
    const name = `bench_parley_${process.pid}_${++made}`
    await administer(`create database ${name}`)
    return new Place(dataDir, Object.assign(new URL(postgresUrl), { pathname: `/${name}` }).href)
  }

  constructor(dataDir: string, databaseUrl: string | null) {
    this.dataDir = dataDir
    this.databaseUrl = databaseUrl
  }

  /** The environment of a server that lives here. */
  get env(): Record<string, string> {
    return {
      HOST: '127.0.0.1',
      PORT: '0',
      DATA_DIR: this.dataDir,
      LOG_LEVEL: 'warn',
      RATE_LIMIT: 'off',
      ...(this.databaseUrl && { DATABASE_URL: this.databaseUrl }),
    }
  }

  /** Runs `work` on the store, migrated. */
  async open<T>(work: (pool: Store['pool']) => Promise<T>): Promise<T> {
    const store = await openStore({ databaseUrl: this.databaseUrl, dataDir: this.dataDir, poolSize: 2 })
    try {
      return await work(store.pool)
    } finally {
      await store.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.databaseUrl) {
      await administer(`drop database ${new URL(this.databaseUrl).pathname.slice(1)} with (force)`)
    }
    await rm(this.dataDir, { recursive: true, force: true })
  }
}

async function administer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: postgresUrl })
  await client.connect()
  await client.query(statement).finally(() => client.end())
}
