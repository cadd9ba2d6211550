import { idIn, idOf, seedPairs, seedPeople } from './cast.ts'
import type { Child } from './child.ts'
import { base36, external, hex24, pairOf, seedNames, tokens } from './dialect-names.ts'
import { LeanHttp, type Question } from './http.ts'
import { type Bench, inTurns, type Line, lineOf, type Reading, type Tenant, watchingLag } from './measure.ts'
import { ClientSocket } from './socket.ts'
import { each, join, text, within } from './wire.ts'

/**
 * Sends through each dialect, beside the native API over the same transport: one in flight in each of fifty
 * conversations, the next when the last one was acknowledged.
 */
export const dialectSends: Tenant = {
  names: () => Object.keys(speaking).map((name) => `${prefix}${name}`),
  seed: async (pool) => {
    const conversations = { first: firstPair, count: pairs * 2 }
    const people = { first: writerIn(firstPair), count: pairs * 4 }
    await seedPeople(pool, people)
    await seedPairs(pool, { ...conversations, firstPerson: people.first })
    await seedNames(pool, { people, conversations })
    // The second half is as TutorGo opens conversations: each send has to be granted.
    await pool.query(`update conversation set grant_required = true
      where id between ${idIn('conversation', `${firstPair + pairs}`)} and ${idIn('conversation', `${firstPair + pairs * 2 - 1}`)}`)
  },
  run,
}

const prefix = 'dialect_sends_'
const firstPair = 3_001
const pairs = 50

async function* run({ scale, wanted }: Bench, { server }: { server: Child }): AsyncGenerator<Line> {
  for (const measure of wanted) {
    const name = measure.slice(prefix.length)
    const ways = speaking[name]
    if (!ways) continue
    const first = name === 'tutorgo' ? firstPair + pairs : firstPair
    const numbers = Array.from({ length: pairs }, (_, i) => first + i)
    const native = await each(numbers, (pair) => ways.baseline(server, pair))
    const ours = await each(numbers, (pair) => ways.ours(server, pair))
    const { warmUpMs, rounds, roundMs } = scale.load
    await load(native, warmUpMs)
    await load(ours, warmUpMs)
    const readings = await inTurns(
      rounds,
      () => load(native, roundMs),
      () => load(ours, roundMs),
    )
    for (const voice of [...native, ...ours]) voice.close()
    yield lineOf(measure, 'acknowledged sends/s', 'larger', readings, 100)
  }
}

async function load(voices: Voice[], forMs: number): Promise<Reading> {
  const since = performance.now()
  let acknowledged = 0
  const speak = async (voice: Voice) => {
    while (performance.now() - since < forMs) {
      await within(10_000, voice.send(), () => 'A send was not acknowledged')
      acknowledged++
    }
  }
  const { lagMs } = await watchingLag(() => Promise.all(voices.map(speak)))
  return { value: (acknowledged / (performance.now() - since)) * 1_000, lagMs }
}

type Voice = { send(): Promise<void>; close(): void }
type Opening = (server: Child, pair: number) => Promise<Voice>

const writerIn = (pair: number) => pair * 2
const readerIn = (pair: number) => pair * 2 + 1
const conversationOf = (pair: number) => idOf('conversation', pair)

const overHttp =
  (question: (pair: number, writer: number) => Question): Opening =>
  async (server, pair) => {
    const http = await LeanHttp.open(server)
    return {
      send: async () => {
        const { status, body } = await http.ask(question(pair, writerIn(pair)))
        if (status !== 201) throw new Error(`${status}: ${body.slice(0, 500)}`)
      },
      close: () => http.close(),
    }
  }

const nativeHttp = overHttp((pair, writer) => ({
  method: 'POST',
  path: `/api/v1/conversations/${conversationOf(pair)}/messages`,
  token: tokens.native(writer),
  body: { clientMessageId: crypto.randomUUID(), body: text },
}))

/** A socket whose next acknowledgement is what a send waits for; another one may hear it. */
async function overSocket(
  socket: ClientSocket,
  { isAck, frame, ear = socket }: { isAck(heard: string): boolean; frame(): string; ear?: ClientSocket },
): Promise<Voice> {
  let waiting: PromiseWithResolvers<void> | undefined
  ear.onFrame = (bytes, start, end) => {
    const heard = bytes.toString('latin1', start, Math.min(end, start + 64))
    if (heard === '2') socket.write('3')
    else if (isAck(heard)) waiting?.resolve()
    else if (isComplaint(heard)) waiting?.reject(new Error(bytes.toString('utf8', start, end)))
  }
  return {
    send: () => {
      waiting = Promise.withResolvers()
      socket.write(frame())
      return waiting.promise
    },
    close: () => {
      socket.close()
      ear.close()
    },
  }
}

const isComplaint = (heard: string) =>
  /"ok":false|^\{"(type|event)":"(error|ERROR)"|^42[^[]*\["error"/.test(heard)

const nativeSocket: Opening = async (server, pair) => {
  const isAck = (heard: string) => heard.startsWith('{"type":"reply"') && heard.includes('"ok":true')
  return overSocket(await join(server, writerIn(pair)), { isAck, frame: () => nativeFrame(pair) })
}

/** Acknowledged by the other person's copy, as in a dialect that has no other acknowledgement. */
const nativeCopy: Opening = async (server, pair) => {
  const isAck = (heard: string) => heard.startsWith('{"type":"message.created"')
  const ear = await join(server, readerIn(pair))
  return overSocket(await join(server, writerIn(pair)), { isAck, frame: () => nativeFrame(pair), ear })
}

let sent = 0
const nativeFrame = (pair: number) =>
  JSON.stringify({
    ...{ type: 'message.send', id: ++sent, conversationId: conversationOf(pair) },
    ...{ clientMessageId: crypto.randomUUID(), body: text },
  })

/** Opens a socket and waits for each greeting, saying after each what brings the next. */
async function enter(
  server: Child,
  path: string,
  steps: [greeting: RegExp, say?: string][],
): Promise<ClientSocket> {
  const socket = await ClientSocket.open({ host: server.host, port: server.port, path, parse: partIn })
  const isIn = Promise.withResolvers<void>()
  const [...left] = steps
  const advance = (heard: string) => {
    const [greeting, say] = left[0] ?? []
    if (!greeting?.test(heard)) return
    left.shift()
    if (say !== undefined) socket.write(say)
    if (left.length === 0) isIn.resolve()
  }
  socket.onFrame = (bytes, start, end) => advance(bytes.toString('utf8', start, end))
  advance('')
  await within(
    10_000,
    isIn.promise,
    () => `${path.split('?')[0]} did not say ${left[0]?.[0]}: ${socket.failure}`,
  )
  return socket
}

/** JSON, after whatever Socket.IO writes before it. */
const partIn = (text: string): unknown => JSON.parse(/[[{].*/s.exec(text)?.[0] ?? 'null')

const inRoom = (server: Child, pair: number, person: number) =>
  enter(server, `/livesupport/ws?token=${tokens.livesupport(person)}`, [
    [/^$/, JSON.stringify({ event: 'JOIN_CONVERSATION', data: { conversationId: hex24(pair) } })],
    [/JOINED_CONVERSATION/],
  ])

const speaking: Record<string, { baseline: Opening; ours: Opening }> = {
  servicehub: {
    baseline: nativeHttp,
    ours: overHttp((pair, writer) => ({
      ...{ method: 'POST', path: `/servicehub/conversations/${pair}/messages` },
      ...{ token: tokens.servicehub(writer), body: { senderId: String(writer), body: text } },
    })),
  },
  careforall: {
    baseline: nativeSocket,
    ours: async (server: Child, pair: number) => {
      const path = `/careforall/ws/conversations/conv_${conversationOf(pair)}`
      const socket = await enter(server, `${path}?token=${tokens.external(writerIn(pair))}`, [[/"system"/]])
      return overSocket(socket, {
        isAck: (heard) => heard.startsWith('{"type":"message_sent"'),
        frame: () => JSON.stringify({ type: 'message', content: text }),
      })
    },
  },
  priyo: {
    baseline: nativeHttp,
    ours: overHttp((pair, writer) => ({
      ...{ method: 'POST', path: '/priyo/api/messages', token: tokens.priyo(writer) },
      body: { conversationId: base36(conversationOf(pair)), content: text },
    })),
  },
  livesupport: {
    baseline: nativeCopy,
    ours: async (server: Child, pair: number) => {
      const mouth = await inRoom(server, pair, writerIn(pair))
      const data = { conversationId: hex24(pair), content: text }
      return overSocket(mouth, {
        isAck: (heard) => heard.startsWith('{"event":"NEW_MESSAGE"'),
        frame: () => JSON.stringify({ event: 'SEND_MESSAGE', data }),
        ear: await inRoom(server, pair, readerIn(pair)),
      })
    },
  },
  tutorgo: {
    baseline: nativeSocket,
    ours: async (server: Child, pair: number) => {
      const auth = JSON.stringify({ token: tokens.external(writerIn(pair)) })
      const socket = await enter(server, '/socket.io/?EIO=4&transport=websocket', [
        [/^/, `40/tutorgo,${auth}`],
        [/"connected"/],
      ])
      const [me, other] = [writerIn(pair), readerIn(pair)]
      const wish = { conversationId: pairOf(me, other), receiverId: external(other), message: text }
      return overSocket(socket, {
        isAck: (heard) => heard.startsWith('43/tutorgo,') && heard.includes('"success":true'),
        frame: () => `42/tutorgo,${++sent}${JSON.stringify(['send-message', wish])}`,
      })
    },
  },
}
