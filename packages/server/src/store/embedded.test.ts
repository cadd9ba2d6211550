import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type EmbeddedStore, openEmbedded } from './embedded.ts'
import { message, messageReader, startup } from './embedded-messages.ts'

const SLOW = 60_000

describe('four connections to one backend', () => {
  let folder: string
  let store: EmbeddedStore
  let pool: pg.Pool

  beforeAll(async () => {
    folder = await newFolder()
    store = await openEmbedded(folder)
    pool = new pg.Pool({ ...store.connection, max: 4 })
    pool.on('error', () => {})
  }, SLOW)
  afterAll(async () => {
    await pool?.end()
    await store?.close()
    await rm(folder, { recursive: true, force: true })
  }, SLOW)

  test('the log is written synchronously, and the store says so', async () => {
    await pool.query('create table logged (id int)')
    expect(store.durability).toBe('D1+')
    expect((await pool.query('show fsync')).rows).toEqual([{ fsync: 'on' }])
    expect((await pool.query('show wal_sync_method')).rows).toEqual([{ wal_sync_method: 'open_datasync' }])
    if (process.platform === 'linux') expect(flagsOfOpenLog(folder)).toBe(0o4010000) // O_SYNC
  })

  test(
    'parameters of a megabyte do not mix with the questions of others',
    async () => {
      const big = 'x'.repeat(1_000_000)
      const questions = Array.from({ length: 120 }, async (_, i) => {
        if (i % 3 === 0) {
          const { rows } = await pool.query('select length($1::text) as length, $2::int as i', [big, i])
          expect(rows).toEqual([{ length: 1_000_000, i }])
        } else if (i % 3 === 1) {
          expect((await pool.query('select $1::int as i', [i])).rows).toEqual([{ i }])
        } else {
          expect((await pool.query(`select ${i} as i`)).rows).toEqual([{ i }])
        }
      })
      await Promise.all(questions)
    },
    SLOW,
  )

  test(
    'an answer of many megabytes arrives whole',
    async () => {
      const { rows } = await pool.query(`select repeat('y', 1000000) as y from generate_series(1, 8)`)
      expect(rows.map(({ y }) => y.length)).toEqual(Array(8).fill(1_000_000))
    },
    SLOW,
  )

  test('two connections may give different statements the same name', async () => {
    const [ana, sam] = await Promise.all([pool.connect(), pool.connect()])
    for (let i = 0; i < 3; i++) {
      const [one, two] = await Promise.all([
        ana.query({ name: 'ask', text: 'select $1::int + 1 as n', values: [i] }),
        sam.query({ name: 'ask', text: "select $1::text || '!' as word", values: ['hi'] }),
      ])
      expect([one.rows, two.rows]).toEqual([[{ n: i + 1 }], [{ word: 'hi!' }]])
    }
    ana.release()
    sam.release()
  })

  test('transactions and plain queries run side by side, and nobody sees the inside of a transaction', async () => {
    await pool.query('create table purse (id int primary key, coins int)')
    await pool.query('insert into purse values (1, 500), (2, 500)')
    const move = async (i: number) => {
      const tx = await pool.connect()
      await tx.query('begin')
      await tx.query('update purse set coins = coins - $1 where id = 1', [i])
      await tx.query('update purse set coins = coins + $1 where id = 2', [i])
      await tx.query(i % 4 === 0 ? 'rollback' : 'commit')
      tx.release()
    }
    const look = async () => {
      const { rows } = await pool.query('select sum(coins)::int as coins from purse')
      expect(rows).toEqual([{ coins: 1_000 }])
    }
    await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 ? look() : move(i / 2))))
    const moved = Array.from({ length: 50 }, (_, i) => (i % 4 ? i : 0)).reduce((sum, i) => sum + i)
    expect((await pool.query('select coins from purse order by id')).rows).toEqual([
      { coins: 500 - moved },
      { coins: 500 + moved },
    ])
  })

  test('a mistake fails its own transaction and nothing else', async () => {
    const tx = await pool.connect()
    await tx.query('begin')
    await expect(tx.query('select $1::int / 0', [1])).rejects.toMatchObject({ code: '22012' })
    const other = pool.query('select 1 as one')
    await expect(tx.query('select 1')).rejects.toMatchObject({ code: '25P02' })
    await tx.query('rollback')
    tx.release()
    expect((await other).rows).toEqual([{ one: 1 }])
  })

  test('a client that vanishes inside a transaction is rolled back, and its prepared statements go with it', async () => {
    await pool.query('create table ghost (id int)')
    const client = new pg.Client(store.connection)
    client.on('error', () => {})
    await client.connect()
    await client.query('begin')
    await client.query({ name: 'haunt', text: 'insert into ghost values ($1)', values: [1] })
    const waiting = pool.query('select count(*)::int as rows from ghost')
    socketOf(client).destroy()
    expect((await waiting).rows).toEqual([{ rows: 0 }])
    const left = await pool.query(`select name from pg_prepared_statements where name like '%haunt'`)
    expect(left.rows).toEqual([])
  })

  test('copy from stdin is refused, simple or prepared, and harms nobody', async () => {
    await pool.query('create table copied (id int)')
    await expect(pool.query('copy copied from stdin')).rejects.toMatchObject({ code: '57014' })
    await expect(pool.query({ name: 'copy', text: 'copy copied from stdin' })).rejects.toMatchObject({
      code: '57014',
    })
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test('who does not speak the protocol is hung up on', async () => {
    for (const nonsense of [
      'GET / HTTP/1.1\r\n\r\n',
      Buffer.concat([startup('ana', 'chat'), message('!', '')]),
    ]) {
      const stranger = connect(join(store.connection.host, '.s.PGSQL.5432'))
      stranger.on('error', () => {}).resume()
      stranger.write(nonsense)
      await once(stranger, 'close')
    }
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test('rows can be read in portions', async () => {
    const client = await pool.connect()
    const query = client.query(
      new pg.Query({ text: 'select generate_series(1, 10) as n', rows: 3 } as pg.QueryConfig),
    )
    const other = pool.query('select 1 as one')
    const seen: number[] = []
    query.on('row', (row) => seen.push(row.n))
    await once(query, 'end')
    client.release()
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect((await other).rows).toEqual([{ one: 1 }])
  })
})

describe('one process per folder', () => {
  test(
    '[G19] a second process is told why within 5 s and touches nothing; kill -9 of the first lets it in',
    async () => {
      const folder = await newFolder()
      const holder = await startWriter(folder)
      await holder.acknowledged(20)
      process.kill(holder.pid, 'SIGSTOP') // so that whatever changes now was changed by the second
      await expect.poll(() => isStopped(holder.pid)).toBe(true)
      const before = everyFile(folder)
      const startedAt = Date.now()
      const second = run(folder)
      const said = (await text(second)).stderr
      expect(second.exitCode).not.toBe(0)
      expect(Date.now() - startedAt).toBeLessThan(5_000)
      expect(said).toContain(folder)
      expect(said).toContain('held by another process')
      expect(said).toContain('Stop the other process')
      expect(everyFile(folder)).toEqual(before)

      const acknowledged = await holder.kill()
      const store = await openEmbedded(folder)
      expect(await written(store)).toEqual(expect.arrayContaining(acknowledged))
      await store.close()
    },
    SLOW,
  )

  test(
    'nor may the same process open it twice',
    async () => {
      const folder = await newFolder()
      const store = await openEmbedded(folder)
      await expect(openEmbedded(folder)).rejects.toThrow(folder)
      await store.close()
      const again = await openEmbedded(folder)
      await again.close()
    },
    SLOW,
  )
})

describe('ends, good and bad', () => {
  test(
    '[G1] nothing acknowledged is lost to kill -9',
    async () => {
      const folder = await newFolder()
      const acknowledged: number[] = []
      for (let round = 0; round < 5; round++) {
        const writer = await startWriter(folder)
        await writer.acknowledged(1 + Math.floor(Math.random() * 400))
        acknowledged.push(...(await writer.kill()))
      }
      const store = await openEmbedded(folder)
      const found = new Set(await written(store))
      await store.close()
      expect(acknowledged.length).toBeGreaterThan(5)
      expect(acknowledged.filter((id) => !found.has(id))).toEqual([])
    },
    SLOW,
  )

  test(
    'closing leaves the data, and no socket',
    async () => {
      const folder = await newFolder()
      const store = await openEmbedded(folder)
      await ask(store, 'create table kept as select 42 as n')
      const { host } = store.connection
      expect(statSync(host).mode & 0o777).toBe(0o700)
      await Promise.all([store.close(), store.close()])
      expect(existsSync(host)).toBe(false)

      const again = await openEmbedded(folder)
      expect(await ask(again, 'select n from kept')).toEqual([{ n: 42 }])
      await again.close()
    },
    SLOW,
  )

  test(
    'closing lets a query finish, and does not wait for ever for a transaction',
    async () => {
      const folder = await newFolder()
      const store = await openEmbedded(folder)
      await ask(store, 'create table kept (n int)')
      const [busy, idle] = [new pg.Client(store.connection), new pg.Client(store.connection)]
      for (const client of [busy, idle]) client.on('error', () => {})
      await Promise.all([busy.connect(), idle.connect()])
      await idle.query('begin')
      await idle.query('insert into kept values (1)')
      await idle.query('commit')
      const last = busy.query('insert into kept select generate_series(1, 50000)')
      await new Promise((tick) => setTimeout(tick, 5))
      const closed = store.close()
      await last
      await closed
      const again = await openEmbedded(folder)
      expect(await ask(again, 'select count(*)::int as n from kept')).toEqual([{ n: 50_001 }])
      const open = new pg.Client(again.connection)
      open.on('error', () => {})
      await open.connect()
      await open.query('begin')
      await open.query('delete from kept')
      await again.close()
      const third = await openEmbedded(folder)
      expect(await ask(third, 'select count(*)::int as n from kept')).toEqual([{ n: 50_001 }])
      await third.close()
    },
    SLOW,
  )

  test(
    'what kill -9 left behind is swept up: the socket, and a cluster that was never finished',
    async () => {
      const folder = await newFolder()
      await mkdir(join(folder, 'postgres.unfinished'))
      await writeFile(join(folder, 'postgres.unfinished', 'PG_VERSION'), '18')
      const writer = await startWriter(folder)
      await writer.acknowledged(1)
      await writer.kill()
      const left = readFileSync(join(folder, 'socket-folder'), 'utf8')
      expect(existsSync(left)).toBe(true)
      const store = await openEmbedded(folder)
      expect(existsSync(left)).toBe(false)
      await store.close()
    },
    SLOW,
  )

  test(
    'a backend that dies is told, its connections break, and it comes back when the trouble is over',
    async () => {
      const folder = await newFolder()
      const store = await openEmbedded(folder)
      await ask(store, 'create table kept as select 42 as n')
      const log = join(folder, 'postgres', 'pg_wal')
      await rename(log, `${log}.taken`) // the backend panics when it wants the next file of its log
      await expect(ask(store, 'insert into kept select generate_series(1, 500000)')).rejects.toThrow()
      expect((await store.failed).message).toContain('The embedded database failed')
      await expect(ask(store, 'select 1')).rejects.toThrow()
      await rename(`${log}.taken`, log)
      const patience = Date.now() + 30_000
      let kept: unknown[] | undefined
      while (!kept && Date.now() < patience) {
        await new Promise((tick) => setTimeout(tick, 100))
        kept = await ask(store, 'select n from kept').catch(() => undefined)
      }
      expect(kept).toEqual([{ n: 42 }])
      await store.close()
    },
    SLOW,
  )

  test(
    'it can be closed while its backend is dead',
    async () => {
      const folder = await newFolder()
      const store = await openEmbedded(folder)
      await ask(store, 'create table kept (n int)')
      const log = join(folder, 'postgres', 'pg_wal')
      await rename(log, `${log}.taken`)
      await ask(store, 'insert into kept select generate_series(1, 500000)').catch(() => {})
      await store.failed
      await store.close()
      await rename(`${log}.taken`, log)
      const again = await openEmbedded(folder)
      expect(await ask(again, 'select n from kept')).toEqual([])
      await again.close()
    },
    SLOW,
  )

  test(
    'a cluster that cannot be opened is an error that says why, and frees the folder',
    async () => {
      const folder = await newFolder()
      await mkdir(join(folder, 'postgres'))
      await writeFile(join(folder, 'postgres', 'PG_VERSION'), '18\n')
      for (const _ of [1, 2]) await expect(openEmbedded(folder)).rejects.toThrow('cannot open')
    },
    SLOW,
  )
})

test('messages are the same however the bytes are cut', () => {
  const spoken = [
    startup('ana', 'chat'),
    message('P', 'one\0select 1\0\0\0'),
    message('S', ''),
    message('X', ''),
  ]
  const bytes = Buffer.concat(spoken)
  for (let size = 1; size <= bytes.length; size++) {
    const read = messageReader()
    const heard = []
    for (let at = 0; at < bytes.length; at += size) heard.push(...read(bytes.subarray(at, at + size)))
    expect(heard.map(({ type }) => type)).toEqual(['startup', 'P', 'S', 'X'])
    expect(heard.map(({ bytes }) => bytes)).toEqual(spoken)
  }
})

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'embedded-test-'))
  if (expect.getState().currentTestName) onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function ask(store: EmbeddedStore, sql: string): Promise<unknown[]> {
  const client = new pg.Client(store.connection)
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end().catch(() => {})
  }
}

async function written(store: EmbeddedStore): Promise<number[]> {
  return (await ask(store, 'select id from written order by id')).map((row) => (row as { id: number }).id)
}

/** A process that opens the folder, writes rows and prints the number of each when it is acknowledged. */
async function startWriter(folder: string) {
  const child = run(folder)
  const ids: number[] = []
  const errors: string[] = []
  child.stderr.on('data', (piece) => errors.push(String(piece)))
  const lines = createInterface(child.stdout)
  lines.on('line', (line) => ids.push(Number(line)))
  onTestFinished(() => void child.kill('SIGKILL'))
  return {
    pid: child.pid ?? 0,
    async acknowledged(count: number) {
      while (ids.length < count) {
        if (child.exitCode !== null) throw new Error(`the writer ended by itself: ${errors.join('')}`)
        await new Promise((tick) => setTimeout(tick, 2))
      }
    },
    async kill() {
      const closed = once(lines, 'close')
      child.kill('SIGKILL')
      await closed
      return ids
    },
  }
}

function run(folder: string): ChildProcessWithoutNullStreams {
  const program = `
    import { writeSync } from 'node:fs'
    import pg from ${JSON.stringify(import.meta.resolve('pg'))}
    import { openEmbedded } from ${JSON.stringify(new URL('./embedded.ts', import.meta.url).href)}
    const store = await openEmbedded(process.argv[1])
    const pool = new pg.Pool({ ...store.connection, max: 4 })
    await pool.query('create table if not exists written (id serial primary key, body text)')
    const write = async () => {
      for (;;) {
        const { rows } = await pool.query('insert into written (body) values ($1) returning id', ['hello'])
        writeSync(1, rows[0].id + '\\n')
      }
    }
    await Promise.all([write(), write(), write(), write()])`
  return spawn(process.execPath, ['--eval', program, folder])
}

async function text(child: ChildProcessWithoutNullStreams) {
  let stderr = ''
  child.stderr.on('data', (piece) => {
    stderr += piece
  })
  await once(child, 'close')
  return { stderr }
}

/** The signal is taken at once, but a thread that is writing a file finishes that first. */
const isStopped = (pid: number) =>
  readdirSync(`/proc/${pid}/task`).every((thread) =>
    /\) T /.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')),
  )

function everyFile(folder: string) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { size, mtimeMs } = statSync(join(folder, name))
      return { name, size, mtimeMs }
    })
}

function flagsOfOpenLog(folder: string): number {
  const log = readdirSync('/proc/self/fd').find((fd) =>
    linkOf(fd).startsWith(join(folder, 'postgres', 'pg_wal')),
  )
  const [, flags = '0'] = /flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${log}`, 'utf8')) ?? []
  return Number.parseInt(flags, 8) & 0o4010000
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}

function socketOf(client: pg.Client): { destroy(): void } {
  return (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream
}
