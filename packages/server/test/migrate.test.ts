import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { openStore } from '../src/store/store.ts'
import { makePlace, Person, spawnMain, spawnServer, startServer, testStore } from '../src/testing.ts'

describe.runIf(testStore === 'postgres')('on PostgreSQL', () => {
  test('[G17] a migration whose backend is killed at any statement leaves no half of itself, and runs again', async () => {
    const place = await makePlace()
    const databaseUrl = place.env.DATABASE_URL ?? ''
    const open = () => openStore({ databaseUrl, dataDir: '', poolSize: 4 })
    const admin = new pg.Client({ connectionString: databaseUrl })
    await admin.connect()
    try {
      const wanted = await schemaOf(admin)
      await admin.query('drop schema public cascade; create schema public')
      // Outside of `public` and not part of any transaction: the number of the statement at which to die.
      await admin.query(`
        create schema killer;
        create sequence killer.statement;
        create table killer.victim (statement int);
        insert into killer.victim values (0);
        create function killer.strike() returns event_trigger language plpgsql as $$ begin
          if nextval('killer.statement') = (select statement from killer.victim) then
            perform pg_terminate_backend(pg_backend_pid());
          end if;
        end $$;
        create event trigger killer on ddl_command_end execute function killer.strike()`)
      await (await open()).close()
      const [count] = (await admin.query<{ n: number }>('select last_value::int as n from killer.statement'))
        .rows
      const statements = count?.n ?? 0
      expect(statements).toBeGreaterThan(50)

      // Each migration is whole or not there: what is left depends on nothing but how many are noted as done.
      const leftAfter = new Map<number, unknown[]>()
      for (let victim = 2; victim <= statements; victim += 7) {
        await admin.query('drop schema public cascade; create schema public')
        await admin.query(`select setval('killer.statement', 1, false)`)
        await admin.query('update killer.victim set statement = $1', [victim])
        await expect(open()).rejects.toThrow(/^Migration .* failed$/)
        const { rows } = await admin.query<{ done: number }>('select count(*)::int as done from migration')
        const done = rows[0]?.done ?? 0
        const left = await schemaOf(admin)
        expect(left).toEqual(leftAfter.get(done) ?? left)
        leftAfter.set(done, left)
        await (await open()).close()
      }
      expect(JSON.stringify(leftAfter.get(0))).not.toContain('conversation')
      await admin.query('drop event trigger killer; drop schema killer cascade')
      expect(await schemaOf(admin)).toEqual(wanted)
    } finally {
      await admin.end()
      await place.remove()
    }
  }, 120_000)

  test('[G12] connections that PostgreSQL ends in the middle of their work cost no process, and no acknowledged send', async () => {
    const place = await makePlace()
    const { ana, id } = await (async () => {
      await using server = await startServer({ place })
      const ana = await server.person('contact', 'ana')
      const { conversation } = await ana.call('conversation.create', { kind: 'support' })
      return { ana, id: conversation.id }
    })()
    const server = await spawnServer(place)
    const admin = new pg.Client({ connectionString: place.env.DATABASE_URL })
    await admin.connect()
    try {
      const me = new Person(server.url, ana.userId, ana.name, ana.token)
      const acknowledged: { id: string; seq: number }[] = []
      let isOver = false
      const send = async (lane: number) => {
        for (let n = 0; !isOver; n++) {
          const input = { conversationId: id, clientMessageId: `${lane} ${n}`, body: 'hello' }
          for (let status = 0; status !== 201; ) {
            const answer = await me.try('message.send', input)
            status = answer.status
            if (status === 201) acknowledged.push({ id: answer.body.id, seq: answer.body.seq })
            else expect(answer.body.error).toMatchObject({ retry: true })
          }
        }
      }
      const read = async () => {
        while (!isOver) {
          await me.try('receipt.move', { conversationId: id, read: 1 })
          await me.try('message.list', { conversationId: id })
        }
      }
      const working = Promise.all([send(1), send(2), send(3), read(), read()])
      let ended = 0
      for (let i = 0; i < 15; i++) {
        await Promise.race([wait(60), working])
        const { rowCount } = await admin.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and application_name = 'parley'`,
        )
        ended += rowCount ?? 0
      }
      isOver = true
      await working
      expect(ended).toBeGreaterThan(15)
      const { rows } = await admin.query<{ id: string; seq: number; client_message_id: string }>(
        'select id, seq, client_message_id from message order by seq',
      )
      expect(rows.map(({ id, seq }) => ({ id, seq }))).toEqual(acknowledged.sort((a, b) => a.seq - b.seq))
      expect(new Set(rows.map((row) => row.client_message_id)).size).toBe(rows.length)
      expect((await fetch(`${server.url}/health`)).status).toBe(200)
    } finally {
      await admin.end()
      await server.kill()
      await place.remove()
    }
  }, 60_000)
})

describe.runIf(testStore === 'embedded')('on the embedded store', () => {
  test('[G17] a first start killed anywhere in the middle can simply be started again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-first-'))
    const place = {
      env: { HOST: '127.0.0.1', PORT: '0', DATA_DIR: folder, LOG_LEVEL: 'warn' },
      remove: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }),
    }
    try {
      for (const afterMs of [300, 900, 1_500, 2_100]) {
        const child = spawnMain(place)
        await wait(afterMs)
        child.kill('SIGKILL')
      }
      const server = await spawnServer(place)
      expect(await (await fetch(`${server.url}/ready`)).status).toBe(200)
      await server.kill()
    } finally {
      await place.remove()
    }
  }, 60_000)
})

/** Columns, indexes, constraints and functions of `public`, as PostgreSQL writes them. */
async function schemaOf(admin: pg.Client): Promise<unknown[]> {
  const { rows } = await admin.query(`
    select 'column' as kind, table_name as of, column_name as name, data_type || coalesce(column_default, '') as is
      from information_schema.columns where table_schema = 'public'
    union all select 'index', tablename, indexname, indexdef from pg_indexes where schemaname = 'public'
    union all select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
      from pg_constraint where connamespace = 'public'::regnamespace
    union all select 'function', '', p.oid::regprocedure::text, pg_get_functiondef(p.oid)
      from pg_proc p left join pg_depend d on d.objid = p.oid and d.deptype = 'e'
      where p.pronamespace = 'public'::regnamespace and d.objid is null and p.prokind = 'f'
    order by 1, 2, 3, 4`)
  return rows
}
