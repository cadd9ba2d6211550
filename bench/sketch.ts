import pg from 'pg'

/** A message that the sketch is to keep. */
type Send = { room: string; id: string; senderId: string; key: string; body: string }
export type Kept = { seq: number; at: Date }
type Entry = Send & { resolve(kept: Kept): void; reject(error: unknown): void }

/**
 * The least that keeps a relay's messages in order and for good: group commit into two narrow tables, two batches under way
 * at most, each room once in a batch. Nobody signs in, nothing is looked up or checked, and a repeated send is an
 * error. What it loses against the bare relay is what a database and its commit cost on this machine, whoever writes;
 * what the server loses against it is what everything else costs.
 */
export class Sketch {
  readonly #pool: pg.Pool
  #waiting: Entry[] = []
  readonly #busy = new Set<string>()
  #writing = 0
  #isDue = false

  static async open(connectionString: string): Promise<Sketch> {
    const pool = new pg.Pool({ connectionString, max: writers })
    await pool.query(tables)
    return new Sketch(pool)
  }

  private constructor(pool: pg.Pool) {
    this.#pool = pool
  }

  /** Makes a room; nothing can be appended before. */
  async make(room: string): Promise<void> {
    await this.#pool.query('insert into room values ($1, 0) on conflict do nothing', [room])
  }

  /** Resolves after the commit. */
  append(send: Send): Promise<Kept> {
    const { promise, resolve, reject } = Promise.withResolvers<Kept>()
    this.#waiting.push({ ...send, resolve, reject })
    this.#writeSoon()
    return promise
  }

  #writeSoon(): void {
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      this.#write()
    })
  }

  #write(): void {
    while (this.#writing < writers) {
      const batch = this.#nextBatch()
      if (batch.length === 0) return
      this.#writing++
      this.#commit(batch).finally(() => {
        this.#writing--
        for (const { room } of batch) this.#busy.delete(room)
        this.#writeSoon()
      })
    }
  }

  #nextBatch(): Entry[] {
    const batch: Entry[] = []
    const others: Entry[] = []
    for (const entry of this.#waiting) {
      if (batch.length === largestBatch || this.#busy.has(entry.room)) others.push(entry)
      else {
        this.#busy.add(entry.room)
        batch.push(entry)
      }
    }
    this.#waiting = others
    return batch
  }

  async #commit(batch: Entry[]): Promise<void> {
    const column = (field: keyof Send) => batch.map((entry) => entry[field])
    try {
      const { rows } = await this.#pool.query<Kept>({
        name: 'keep',
        text: 'select seq, at from keep($1, $2, $3, $4, $5)',
        values: [column('room'), column('id'), column('senderId'), column('key'), column('body')],
      })
      batch.forEach((entry, i) => {
        const row = rows[i]
        if (row) entry.resolve(row)
        else entry.reject(new Error(`${rows.length} of ${batch.length} messages were kept`))
      })
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
}

const writers = 2
const largestBatch = 256

const tables = `
create table room (id text primary key, seq integer not null) with (fillfactor = 50);
create table kept (
  room text, seq integer, id uuid not null, sender_id uuid not null, key text not null, body text not null,
  at timestamptz not null, primary key (room, seq)
);
create unique index kept_key on kept (room, sender_id, key);
create function keep(rooms text[], ids uuid[], senders uuid[], keys text[], bodies text[])
returns table (seq integer, at timestamptz) language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
as $$
begin
  update room r set seq = r.seq + 1 from unnest(rooms) as m (room) where r.id = m.room;
  return query
  insert into kept as k
    select m.room, r.seq, m.id, m.sender, m.key, m.body, clock_timestamp()
    from unnest(rooms, ids, senders, keys, bodies) as m (room, id, sender, key, body)
    cross join lateral (select * from room r where r.id = m.room limit 1) r
  returning k.seq, k.at;
end $$;`
