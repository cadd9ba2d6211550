import type { Cluster } from './embedded-cluster.ts'
import type { Gate } from './embedded-gate.ts'

const EVERY_MS = 10_000

/**
 * Does what PostgreSQL's background processes would. PGlite has none: without this the log would grow, and the next
 * start after a kill be slower, until the next clean stop; dead rows would stay, and the planner know nothing.
 */
export function startUpkeep(cluster: Cluster, gate: Gate): { stop(): void } {
  let checkpointAt = Date.now()
  const timer = setInterval(() => {
    gate
      .between(keepUp)
      .catch((error) => process.emitWarning(`Upkeep of the embedded database failed: ${error}`))
  }, EVERY_MS)
  return { stop: () => clearInterval(timer) }

  async function keepUp() {
    const [log] = await cluster.query<{ bytes: number }>(LOG_SINCE_CHECKPOINT)
    const bytes = log?.bytes ?? 0
    if (bytes > 64 * 2 ** 20 || (bytes > 2 ** 20 && Date.now() - checkpointAt > 5 * 60_000)) {
      await cluster.query('checkpoint')
      checkpointAt = Date.now()
    }
    const [table] = await cluster.query<{ work: string }>(MOST_NEGLECTED_TABLE)
    if (table) await cluster.query(table.work)
  }
}

const LOG_SINCE_CHECKPOINT = `
  select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), redo_lsn)::float8 as bytes from pg_control_checkpoint()`

// Autovacuum's own thresholds, one table at a time: everybody waits while it is worked on.
const MOST_NEGLECTED_TABLE = `
  select case when dead > 50 + 0.2 * live or fresh > 1000 + 0.2 * live
              then format('vacuum (analyze) %I.%I', schemaname, relname)
              else format('analyze %I.%I', schemaname, relname) end as work
  from (select schemaname, relname, n_live_tup as live, n_dead_tup as dead,
               n_ins_since_vacuum as fresh, n_mod_since_analyze as changed
        from pg_stat_user_tables) as tables
  where dead > 50 + 0.2 * live or fresh > 1000 + 0.2 * live or changed > 50 + 0.1 * live
  order by greatest(dead, fresh, changed) / (live + 1.0) desc
  limit 1`
