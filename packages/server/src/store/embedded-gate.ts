import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  endsUnit,
  isAnsweredReady,
  isCancelRequest,
  isKnown,
  isStartup,
  type Message,
  message,
  messageReader,
  statementName,
  transactionStatus,
  withPrefixedStatement,
} from './embedded-messages.ts'

/** The one backend, as the gate needs it. */
export type Backend = {
  greeting: Buffer
  run(messages: Buffer): Promise<Buffer>
}

export type Gate = {
  admit(socket: Socket): void
  /** Runs work of our own when nobody has the backend. */
  between<T>(work: () => Promise<T>): Promise<T>
  /** Lets what is under way finish for two seconds, then hangs up. */
  close(): Promise<void>
}

type Client = { socket: Socket; unit: Message[]; prefix: string; statements: Set<string>; gone: boolean }
type Turn = { client: Client | undefined; run: () => Promise<void> }

/**
 * Lets many connections share one backend without mixing their words.
 *
 * A connection's messages are gathered until they make a unit (up to Sync, Flush or a simple query) and go to the backend
 * together. Units take turns in order of arrival, except that a connection inside a transaction owns the backend until
 * ReadyForQuery says idle; the others wait. Names of prepared statements get a prefix per connection, since to the
 * backend they are all one session. For the same reason `set`, temporary tables and advisory locks are everybody's.
 */
export function openGate(backend: Backend): Gate {
  const clients = new Set<Client>()
  const waiting: Turn[] = []
  let owner: Client | undefined
  let running = false
  let admitted = 0

  return {
    admit(socket) {
      const client: Client = {
        socket,
        unit: [],
        prefix: `c${++admitted}:`,
        statements: new Set(),
        gone: false,
      }
      const read = messageReader()
      clients.add(client)
      socket.on('data', (piece) => {
        try {
          for (const message of read(piece as Buffer)) hear(client, message) // no encoding is set
        } catch {
          socket.destroy()
        }
      })
      socket.on('error', () => socket.destroy())
      socket.on('close', () => leave(client))
    },
    between: (work) =>
      new Promise((resolve, reject) => wait({ client: undefined, run: () => work().then(resolve, reject) })),
    async close() {
      const patience = Date.now() + 2_000
      while ((owner || running) && Date.now() < patience) await sleep(5)
      for (const { socket } of clients) socket.destroySoon()
      while (clients.size > 0 && Date.now() < patience + 1_000) await sleep(5)
      for (const client of clients) client.socket.destroy()
      while (clients.size > 0 || running) await sleep(5)
    },
  }

  function hear(client: Client, message: Message) {
    if (!isKnown(message)) throw new Error('not the PostgreSQL protocol')
    if (message.type === 'startup') return greet(client, message)
    if (message.type === 'X') return client.socket.end()
    client.unit.push(ownStatement(client, message))
    if (!endsUnit(message)) return
    const unit = client.unit
    client.unit = []
    wait({ client, run: () => answer(client, unit, isAnsweredReady(message)) })
  }

  // The backend greeted once, when it started; everybody hears the same.
  function greet({ socket }: Client, { bytes }: Message) {
    if (isStartup(bytes)) socket.write(backend.greeting)
    else if (isCancelRequest(bytes)) socket.destroy()
    else socket.write('N') // no encryption here
  }

  function wait(turn: Turn) {
    waiting.push(turn)
    if (running) return
    running = true
    takeTurns().catch(die)
  }

  async function takeTurns() {
    for (let turn = nextTurn(); turn; turn = nextTurn()) await turn.run()
    running = false
  }

  function nextTurn(): Turn | undefined {
    if (!owner) return waiting.shift()
    const own = waiting.findIndex((turn) => turn.client === owner)
    return own === -1 ? undefined : waiting.splice(own, 1)[0]
  }

  async function answer(client: Client, unit: Message[], endsReady: boolean) {
    if (client.gone) return
    const answered = await backend.run(withoutCopyIn(unit))
    owner = endsReady && transactionStatus(answered) === 'I' ? undefined : client
    if (!client.socket.destroyed) client.socket.write(answered)
  }

  function leave(client: Client) {
    client.gone = true
    clients.delete(client)
    wait({ client, run: () => clearUpAfter(client) })
  }

  async function clearUpAfter(client: Client) {
    const words = [...client.statements].map((name) => message('C', `S${name}\0`))
    if (owner === client) words.unshift(message('S', ''), message('Q', 'rollback\0'))
    if (words.length > 0) await backend.run(Buffer.concat([...words, message('S', '')]))
    if (owner === client) owner = undefined
  }
}

function ownStatement(client: Client, message: Message): Message {
  const own = withPrefixedStatement(message, client.prefix)
  const name = statementName(own)
  if (name && message.type === 'P') client.statements.add(name)
  if (name && message.type === 'C') client.statements.delete(name)
  return own
}

/**
 * `copy … from stdin` would make the backend read on where nothing comes, and die of it. A CopyFail in the right place
 * makes it an error instead; where no copy is under way PostgreSQL ignores it.
 */
function withoutCopyIn(unit: Message[]): Buffer {
  const messages = unit.map(({ bytes }) => bytes)
  const last = unit.at(-1)?.type
  messages.splice(last === 'Q' || last === 'F' ? messages.length : -1, 0, COPY_FAIL)
  return Buffer.concat(messages)
}

const COPY_FAIL = message('f', 'the embedded database has no copy from stdin\0')

// Nothing can be said about the backend after this. The thread dies of it, and the main thread hears why.
function die(error: unknown) {
  queueMicrotask(() => {
    throw error
  })
}
