import { PGlite } from '@electric-sql/pglite'
import { startup } from './embedded-messages.ts'

/** The one backend of an embedded database. Whoever calls it must have it for himself: see the gate. */
export type Cluster = {
  durability: 'D1' | 'D1+'
  /** what the backend says to somebody who connects */
  greeting: Buffer
  /** runs whole protocol messages and gives back all they were answered */
  run(messages: Buffer): Promise<Buffer>
  query<Row>(sql: string): Promise<Row[]>
  close(): Promise<void>
}

/** Opens the cluster in `folder`, creating it when the folder is not there. */
export async function openCluster(folder: string): Promise<Cluster> {
  const log: string[] = []
  const db = await PGlite.create(folder, {
    startParams: START_PARAMETERS,
    onStderr: (line) => log.push(line) > 50,
  }).catch((error: unknown) => {
    throw new Error([`cannot open ${folder}: ${error}`, ...log.slice(-5)].join('\n'), { cause: error })
  })
  log.length = 0
  const query = async <Row>(sql: string) => (await db.query<Row>(sql)).rows
  const run = async (messages: Buffer) => {
    const answers: Buffer[] = []
    await db.execProtocolRawStream(messages, {
      syncToFs: false, // the files are real ones
      onRawData: (bytes) => void answers.push(Buffer.from(bytes)), // a copy: the bytes lie in the backend's memory
    })
    return Buffer.concat(answers)
  }
  const durability = await durabilityInEffect(query)
  const greeting = await run(startup('postgres', 'postgres'))
  return { durability, greeting, run, query, close: () => db.close() }
}

/**
 * PGlite's own, without `-F` (which turns fsync off). Its file system forgets `fsync`, but passes `O_SYNC` on, so the log
 * is opened with it. Only start parameters can say so: set later, it does nothing. Its page cache is a quarter of what
 * PostgreSQL takes: an idle server held 430 MB, now 310, and the system keeps the files in memory anyway.
 */
const START_PARAMETERS = [
  ...PGlite.defaultStartParams.filter((parameter) => parameter !== '-F'),
  ...['-c', 'wal_sync_method=open_datasync', '-c', 'shared_buffers=32MB'],
]

async function durabilityInEffect(query: Cluster['query']): Promise<Cluster['durability']> {
  const [row] = await query<{ synchronous: boolean }>(`
    select current_setting('fsync') = 'on'
       and current_setting('synchronous_commit') = 'on'
       and current_setting('wal_sync_method') in ('open_datasync', 'open_sync') as synchronous`)
  return row?.synchronous ? 'D1+' : 'D1'
}
