import type { PostgresCursor, PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely'
import pg from 'pg'

/**
 * A pool for Kysely, which names no statements, so that PostgreSQL plans each of them anew: three quarters of a look-up
 * by key (who stands behind a session: 0.40 ms of its processor, 0.11 when planned before). A statement that begins with
 * its name, as in `/* standing *\/ select …`, is prepared once on each connection instead.
 *
 * Only for look-ups by keys, whose best plan is the same for every value (one made before there were statistics is made
 * again with them). They name their columns: of a prepared `select *` PostgreSQL says "cached plan must not change result
 * type" when a newer version of the server, started beside this one, adds a column.
 */
export function preparing(pool: pg.Pool): PostgresPool {
  const clients = new WeakMap<pg.PoolClient, PostgresPoolClient>()
  return {
    async connect() {
      const client = await pool.connect()
      const known = clients.get(client) ?? new PreparingClient(client)
      clients.set(client, known)
      return known
    },
    end: () => pool.end(),
  }
}

class PreparingClient implements PostgresPoolClient {
  readonly #client: pg.PoolClient
  #isUnanswered = false

  constructor(client: pg.PoolClient) {
    this.#client = client
  }

  query<R>(text: string, values: readonly unknown[]): Promise<PostgresQueryResult<R>>
  query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>
  query(text: unknown, values: readonly unknown[] = []): unknown {
    if (typeof text !== 'string') throw new Error('Cursors have no names; read with one from the pool itself')
    return this.#client.query({ name: nameOf(text), text, values: [...values] }).catch((error: unknown) => {
      this.#isUnanswered ||= !(error instanceof pg.DatabaseError)
      throw error
    })
  }

  /**
   * Gives the connection back only if it is as it was. When `begin` is not answered in time, Kysely thinks that nothing has
   * begun and rolls nothing back; answered after all, the connection would be in a transaction, which takes whatever is
   * acknowledged by whoever has it next with it when it is rolled back.
   */
  release(): void {
    this.#client.release(this.#isUnanswered || this.#client.getTransactionStatus() !== 'I')
  }
}

const nameOf = (text: string) => /^\/\* (\w+) \*\/\s/.exec(text)?.[1]
