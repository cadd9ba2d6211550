import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomUUIDv7 } from 'node:crypto'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type ControlFrame,
  type Event,
  type InputOf,
  type OperationName,
  operationOf,
  type ResultOf,
  type Role,
} from '@parley/protocol'
import pg from 'pg'
import { WebSocket } from 'ws'
import { type Running, startServer as start } from './app.ts'
import { openSession } from './chat/sessions.ts'
import { type Config, readConfig } from './config.ts'
import { requireDocumented, requireDocumentedReply } from './documented.ts'
import { makeLog } from './log.ts'
import type { Fanout } from './realtime/fanout.ts'
import { migrate } from './store/migrate.ts'
import { openStore } from './store/store.ts'

/** Which store the suites run on; `npm test` runs them once on each. */
export const testStore = process.env.TEST_STORE === 'postgres' ? 'postgres' : 'embedded'
const serverUrl = process.env.TEST_DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres'

/** A place for one server's data, of the kind the suite runs on: migrated, empty, and gone after `remove`. */
export type Place = { env: Record<string, string>; remove(): Promise<void> }

/** Makes a place from a template, so that a test does not pay for creating a cluster. */
export async function makePlace(): Promise<Place> {
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-'))
  const remove = () => rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
  const env = { HOST: '127.0.0.1', PORT: '0', DATA_DIR: dataDir, LOG_LEVEL: 'warn', RATE_LIMIT: 'off' }
  if (testStore === 'embedded') {
    await cp(await embeddedTemplate(), dataDir, { recursive: true })
    return { env, remove }
  }
  const name = `parley_test_${randomUUIDv7().replaceAll('-', '')}`
  await admin(`create database ${name} template ${await postgresTemplate()}`)
  const DATABASE_URL = Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href
  return {
    env: { ...env, DATABASE_URL },
    remove: async () => {
      await admin(`drop database if exists ${name} with (force)`)
      await remove()
    },
  }
}

export type TestServer = AsyncDisposable & {
  url: string
  running: Running
  place: Place
  /** The inbox that the first workspace begins with, and everybody of the team works in. */
  inboxId: string
  widgetKey: string
  workspaceId: string
  /** Somebody new with a session. Team members work in the first inbox. */
  person(role: Role, name?: string, workspaceId?: string): Promise<Person>
  /** Another workspace, to see that nothing crosses. */
  workspace(): Promise<{ workspaceId: string; inboxId: string }>
  rest(method: string, path: string, options?: RestOptions): Promise<Answer>
}

export type RestOptions = {
  token?: string | null
  body?: unknown
  raw?: string | Buffer
  headers?: Record<string, string>
}
export type Answer = { status: number; headers: Headers; body: Body }
// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by asserting it; a type would be a claim unchecked.
type Body = any

export type StartOptions = { env?: Record<string, string>; place?: Place; fanout?: Fanout; args?: string[] }

/** A whole server on a free port, in this process, on a store of its own. `await using` stops and removes it. */
export async function startServer({
  env = {},
  place,
  fanout,
  args = [],
}: StartOptions = {}): Promise<TestServer> {
  const here = place ?? (await makePlace())
  const config: Config = readConfig({ ...here.env, ...env }, args)
  const running = await start(config, makeLog(config.logLevel), fanout)
  const { chat } = running.parley
  const { workspaceId, inboxId, widgetKey } = await firstInbox(running)

  const server: TestServer = {
    url: running.url,
    running,
    place: here,
    workspaceId,
    inboxId,
    widgetKey,
    rest: (method, path, options) => rest(running.url, method, path, options),
    person: async (role, name = role, workspace = workspaceId) => {
      const row = await chat.db
        .insertInto('person')
        .values({ workspace_id: workspace, id: randomUUIDv7(), role, name, verified: true })
        .returningAll()
        .executeTakeFirstOrThrow()
      if (role === 'agent' || role === 'supervisor') {
        await chat.db
          .insertInto('inbox_member')
          .columns(['workspace_id', 'inbox_id', 'person_id'])
          .expression((eb) =>
            eb
              .selectFrom('inbox')
              .select(({ val, ref }) => [
                ref('workspace_id').as('workspace_id'),
                ref('id').as('inbox_id'),
                val(row.id).as('person_id'),
              ])
              .where('workspace_id', '=', workspace),
          )
          .execute()
      }
      const { accessToken } = await openSession(chat, chat.db, row)
      return new Person(running.url, row.id, name, accessToken)
    },
    workspace: async () => {
      const id = randomUUIDv7()
      const inbox = randomUUIDv7()
      await chat.db.insertInto('workspace').values({ id, slug: id, name: 'Elsewhere' }).execute()
      await chat.db
        .insertInto('inbox')
        .values({ workspace_id: id, id: inbox, name: 'Elsewhere', widget_key: randomUUIDv7() })
        .execute()
      return { workspaceId: id, inboxId: inbox }
    },
    [Symbol.asyncDispose]: async () => {
      await running.stop()
      if (!place) await here.remove()
    },
  }
  return server
}

/** A server as a process of its own, which can be killed. */
export type SpawnedServer = AsyncDisposable & {
  url: string
  pid: number
  /** All it has written to standard error so far. */
  readonly said: string
  /** Its exit code, or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>
  /** Ends it without a chance to say anything: `kill -9`, by its pid. */
  kill(): Promise<void>
}

/** Starts `main.ts` on a place; resolves when it says where it is. Rejects with what it said when it ends instead. */
export async function spawnServer(place: Place, env: Record<string, string> = {}): Promise<SpawnedServer> {
  const child = spawnMain(place, env)
  const said = { out: '', err: '' }
  const exited = exitOf(child)
  child.stderr?.on('data', (data) => {
    said.err += data
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout?.on('data', (data) => {
      said.out += data
      const address = /^Parley is at (\S+)$/m.exec(said.out)?.[1]
      if (address) resolve(address)
    })
    exited.then((how) => reject(new Error(`The server ended with ${how}: ${said.err}`)), reject)
  })
  const kill = async () => {
    child.kill('SIGKILL')
    await exited
  }
  return {
    url,
    pid: child.pid ?? 0,
    exited,
    kill,
    get said() {
      return said.err
    },
    [Symbol.asyncDispose]: kill,
  }
}

/** The process alone, for whoever wants to see it fail. It inherits no settings from the test. */
export function spawnMain(place: Place, env: Record<string, string> = {}): ChildProcess {
  const { PATH, HOME, TMPDIR, NODE_COMPILE_CACHE } = process.env
  const child = spawn(process.execPath, ['--conditions=source', main], {
    env: { PATH, HOME, TMPDIR, NODE_COMPILE_CACHE, ...place.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // A test that runs out of time leaves nobody behind.
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  child.once('close', () => process.off('exit', end))
  return child
}

export function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(signal ?? code ?? 0))
  })
}

const main = fileURLToPath(new URL('./main.ts', import.meta.url))

/** Somebody with a session: calls operations over REST, or opens a socket. */
export class Person {
  readonly url: string
  readonly userId: string
  readonly name: string
  readonly token: string

  constructor(url: string, userId: string, name: string, token: string) {
    this.url = url
    this.userId = userId
    this.name = name
    this.token = token
  }

  /** Calls an operation and expects it to succeed. */
  async call<N extends OperationName>(name: N, input: InputOf<N>): Promise<ResultOf<N>> {
    const answer = await this.try(name, input)
    if (answer.status >= 300)
      throw new Error(`${name} answered ${answer.status}: ${JSON.stringify(answer.body)}`)
    return answer.body as ResultOf<N>
  }

  /** Calls an operation and takes what comes. */
  try<N extends OperationName>(name: N, input: InputOf<N>): Promise<Answer> {
    return callOver(this.url, this.token, name, input as Record<string, unknown>)
  }

  /** Sends a text; the clientMessageId is random unless it matters. */
  send(conversationId: string, body: string, clientMessageId: string = crypto.randomUUID()) {
    return this.call('message.send', { conversationId, clientMessageId, body })
  }

  /** Opens a socket and says hello. */
  connect(hello: Record<string, unknown> = {}): Promise<TestSocket> {
    return TestSocket.open(this.url, { token: this.token, ...hello })
  }
}

type Frame = Event | ControlFrame

/** Our protocol over a plain WebSocket, without the client: what it sends and hears is what is on the wire. */
export class TestSocket {
  readonly heard: Frame[] = []
  readonly websocket: WebSocket
  closeCode: number | undefined
  #next = 1
  #wake = new Set<() => void>()

  static async open(url: string, hello: Record<string, unknown>): Promise<TestSocket> {
    const socket = new TestSocket(new WebSocket(`${url.replace(/^http/, 'ws')}/api/v1/realtime`))
    await once(socket.websocket, 'open')
    socket.write({ type: 'hello', ...hello })
    await socket.until((frame) => frame.type === 'welcome')
    return socket
  }

  constructor(websocket: WebSocket) {
    this.websocket = websocket
    websocket.on('message', (data) => {
      this.heard.push(JSON.parse(data.toString()))
      for (const wake of this.#wake) wake()
    })
    websocket.on('error', () => {})
    websocket.on('close', (code) => {
      this.closeCode = code
      for (const wake of this.#wake) wake()
    })
  }

  write(frame: unknown): void {
    this.websocket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  /** Sends a command and resolves with its reply. */
  async command(
    type: string,
    input: Record<string, unknown> = {},
  ): Promise<Extract<ControlFrame, { type: 'reply' }>> {
    const id = this.#next++
    this.write({ type, id, ...input })
    const reply = await this.until<Extract<ControlFrame, { type: 'reply' }>>(
      (frame) => frame.type === 'reply' && frame.id === id,
    )
    requireDocumentedReply(type, reply)
    return reply
  }

  /** The first frame, heard already or to come, that fits; rejects when the socket closes or time is up. */
  async until<F extends Frame>(fits: (frame: Frame) => boolean, withinMs = 10_000): Promise<F> {
    const deadline = Date.now() + withinMs
    for (;;) {
      const found = this.heard.find(fits)
      if (found) return found as F
      if (this.closeCode !== undefined) throw new Error(`The socket was closed with ${this.closeCode}`)
      if (Date.now() > deadline)
        throw new Error(
          `Waited ${withinMs} ms in vain; heard ${this.heard.map((frame) => frame.type).join(', ')}`,
        )
      await this.#change(deadline - Date.now())
    }
  }

  /** Log entries of one conversation, in the order heard. */
  entries(conversationId: string): { seq: number; type: string; body: string | undefined }[] {
    return this.heard.flatMap((frame) =>
      'seq' in frame &&
      'conversationId' in frame &&
      frame.type !== 'caughtup' &&
      frame.conversationId === conversationId
        ? [
            {
              seq: frame.seq,
              type: frame.type,
              body: frame.type === 'message.created' ? frame.message.body : undefined,
            },
          ]
        : [],
    )
  }

  async closed(withinMs = 10_000): Promise<number> {
    const deadline = Date.now() + withinMs
    while (this.closeCode === undefined) {
      if (Date.now() > deadline) throw new Error('The socket is still open')
      await this.#change(deadline - Date.now())
    }
    return this.closeCode
  }

  close(): void {
    this.websocket.terminate()
  }

  #change(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#wake.delete(done)
        resolve()
      }
      const timer = setTimeout(done, Math.max(1, withinMs))
      this.#wake.add(done)
    })
  }
}

/** Any operation over REST, with path, query and body put where its schema has them. */
export function callOver(
  url: string,
  token: string | null,
  name: OperationName,
  input: Record<string, unknown>,
): Promise<Answer> {
  const { method, path, params = {}, query = {} } = operationOf(name)
  const rest_ = { ...input }
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, key: string) => {
    delete rest_[key]
    return encodeURIComponent(String(input[key]))
  })
  const search = new URLSearchParams()
  for (const key of Object.keys(query)) {
    if (input[key] !== undefined) search.set(key, String(input[key]))
    delete rest_[key]
  }
  void params
  const body = method === 'GET' || Object.keys(rest_).length === 0 ? {} : { body: rest_ }
  return rest(url, method, `/api/v1${filled}${search.size > 0 ? `?${search}` : ''}`, { token, ...body })
}

/** One request, and whatever came back, provided that the API document names it. */
export async function rest(
  url: string,
  method: string,
  path: string,
  { token, body, raw, headers = {} }: RestOptions = {},
): Promise<Answer> {
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body))
  const response = await fetch(new URL(path, url), {
    method,
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(payload !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(payload !== undefined && { body: payload }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json')
  const answer = {
    status: response.status,
    headers: response.headers,
    body: isJson && text ? JSON.parse(text) : text,
  }
  requireDocumented(method, path, answer)
  return answer
}

async function firstInbox({
  parley,
}: Running): Promise<{ workspaceId: string; inboxId: string; widgetKey: string }> {
  const inbox = await parley.chat.db
    .selectFrom('inbox')
    .selectAll()
    .orderBy('created_at')
    .limit(1)
    .executeTakeFirstOrThrow()
  return { workspaceId: inbox.workspace_id, inboxId: inbox.id, widgetKey: inbox.widget_key }
}

const migrations = new URL('../migrations/', import.meta.url)

/** Changes when a migration does, so that a template is never older than the code. */
async function migrationsDigest(): Promise<string> {
  const hash = createHash('sha256')
  for (const name of (await readdir(migrations)).sort())
    hash.update(name).update(await readFile(new URL(name, migrations)))
  return hash.digest('hex').slice(0, 12)
}

async function postgresTemplate(): Promise<string> {
  const name = `parley_template_${await migrationsDigest()}`
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  try {
    // Test files run side by side: the first makes it, the others wait.
    await client.query('select pg_advisory_lock(7021997)')
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name])
    if (rowCount) return name
    await client.query(`create database ${name}_new`)
    const pool = new pg.Pool({
      connectionString: Object.assign(new URL(serverUrl), { pathname: `/${name}_new` }).href,
    })
    await migrate(pool)
    await pool.end()
    await client.query(`alter database ${name}_new rename to ${name}`)
    return name
  } finally {
    await client.end()
  }
}

async function embeddedTemplate(): Promise<string> {
  const folder = join(tmpdir(), `parley-template-${await migrationsDigest()}`)
  if ((await readdir(folder).catch(() => [])).length > 0) return folder
  const made = await mkdtemp(join(tmpdir(), 'parley-template-new-'))
  const store = await openStore({ databaseUrl: null, dataDir: made, poolSize: 4 })
  await store.close()
  await mkdir(tmpdir(), { recursive: true })
  // Another file may have been faster; one of the two is enough.
  await rename(made, folder).catch(() => rm(made, { recursive: true, force: true }))
  return folder
}

async function admin(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  await client.query(statement).finally(() => client.end())
}
