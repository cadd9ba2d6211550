import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { openEmbedded } from './embedded.ts'
import { migrate } from './migrate.ts'
import { preparing } from './prepared.ts'
import { keepStatistics } from './statistics.ts'
import type { DB } from './tables.ts'

export type Tables = DB
export type Db = Kysely<Tables>

/** D1 survives `kill -9` of this process, D1+ also writes its log synchronously, D2 survives power loss. */
export type Durability = 'D1' | 'D1+' | 'D2'

export type Store = {
  kind: 'embedded' | 'postgres'
  db: Db
  pool: pg.Pool
  durability: Durability
  /** Names one life of the data: it changes when a backup is restored, and with it every cursor becomes void. */
  epoch: string
  /** How many group commits may be under way at once. */
  writers: number
  close(): Promise<void>
}

export type StoreConfig = { databaseUrl: string | null; dataDir: string; poolSize: number }

/** Opens PostgreSQL when there is a URL, else the embedded one in `dataDir`; migrated and ready. */
export async function openStore(config: StoreConfig): Promise<Store> {
  if (config.databaseUrl) {
    const pool = poolOf({ connectionString: config.databaseUrl, max: config.poolSize })
    const stopStatistics = keepStatistics(pool)
    const close = () => {
      stopStatistics()
      return pool.end()
    }
    return finish('postgres', pool, () => durabilityOf(pool), config.poolSize > 4 ? 2 : 1, close)
  }
  const embedded = await openEmbedded(config.dataDir)
  const pool = poolOf({ ...embedded.connection, max: embedded.poolSize })
  const close = async () => {
    await pool.end()
    await embedded.close()
  }
  return finish('embedded', pool, async () => embedded.durability, 1, close)
}

async function finish(
  kind: Store['kind'],
  pool: pg.Pool,
  durability: () => Promise<Durability>,
  writers: number,
  close: () => Promise<void>,
): Promise<Store> {
  try {
    await migrate(pool)
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: preparing(pool) }) })
    return { kind, db, pool, durability: await durability(), epoch: await epochOf(pool), writers, close }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * Client-side timeouts beside the server's: a stopped backend ignores `statement_timeout` (promise G12). A commit
 * whose answer does not come may still happen, so callers must treat the error as "outcome unknown".
 */
function poolOf(options: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool({
    connectionTimeoutMillis: 5_000,
    query_timeout: 30_000,
    keepAlive: true,
    application_name: 'parley',
    types: { getTypeParser },
    // Nothing we ask takes as long as compiling it: a list of 200 took 44 ms instead of 6 once the planner, beside many
    // messages, thought it worth that.
    onConnect: (client) => client.query("set timezone = 'UTC'; set jit = off"),
    ...options,
  })
  // A connection that breaks is replaced by the pool, and whoever used it is told by their query; without listeners
  // the error would also end the process. The pool listens while it is idle, nobody while somebody has it.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

/** Instants as RFC 3339 text with milliseconds, counts as numbers; the rest as `pg` does it. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  if (oid === pg.types.builtins.TIMESTAMPTZ) return instantOf
  if (oid === pg.types.builtins.INT8) return Number
  return pg.types.getTypeParser(oid, format)
}

/** PostgreSQL in UTC writes `2026-01-31 09:15:00.123456+00`, with as many digits of the second as are not zero. */
const instantOf = (text: string) =>
  `${text.slice(0, 10)}T${text.slice(11, 19)}.${text.slice(20, -3).padEnd(3, '0').slice(0, 3)}Z`

/** D2 only if PostgreSQL says that it both flushes and waits for the flush. */
async function durabilityOf(pool: pg.Pool): Promise<Durability> {
  const { rows } = await pool.query<{ fsync: string; commit: string }>(
    "select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit",
  )
  const settings = rows[0]
  return settings?.fsync === 'on' && settings.commit !== 'off' ? 'D2' : 'D1'
}

async function epochOf(pool: pg.Pool): Promise<string> {
  await pool.query("insert into server_meta (key, value) values ('epoch', $1) on conflict do nothing", [
    crypto.randomUUID(),
  ])
  const { rows } = await pool.query<{ value: string }>("select value from server_meta where key = 'epoch'")
  const epoch = rows[0]?.value
  if (!epoch) throw new Error('The store has no epoch although one was just written')
  return epoch
}
