import type { Pool } from 'pg'

const everyMs = 5_000

/**
 * Lets the planner know the tables as they grow from nothing. Every index begins with the workspace, so that without
 * statistics one looks as good as another, and a lookup by key may read a whole workspace. Autovacuum looks once a
 * minute, and where it is switched off never; this asks for tables that have grown tenfold since they were last looked
 * at. Returns the way to stop.
 */
export function keepStatistics(pool: Pool): () => void {
  let timer = setTimeout(next, everyMs).unref()
  async function next() {
    // The store may be away, or another node faster; there is a next time.
    await look(pool).catch(() => {})
    if (!pool.ending) timer = setTimeout(next, everyMs).unref()
  }
  return () => clearTimeout(timer)
}

async function look(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ work: string }>(`
    select format('analyze %I.%I', t.schemaname, t.relname) as work
    from pg_stat_user_tables t join pg_class c on c.oid = t.relid
    where t.n_live_tup > 50 and t.n_live_tup > 10 * greatest(c.reltuples, 0)`)
  for (const { work } of rows) await pool.query(work)
}
