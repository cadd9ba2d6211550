import type { Pool } from 'pg'
import { idIn, idOf, seedPairs, seedPeople, signed, tokenAt, tokenOf, workspaceId } from './cast.ts'
import { Child } from './child.ts'
import { LeanHttp, type Question } from './http.ts'
import {
  type Bench,
  inTurns,
  type Line,
  lineOf,
  type Measure,
  median,
  type Reading,
  watchingLag,
} from './measure.ts'
import { Place } from './place.ts'
import { ClientSocket } from './socket.ts'
import { each, join, text, within } from './wire.ts'

/**
 * What the dialects cost, each beside the native API over the same transport: how many sends are acknowledged in a
 * second, how long the list of all conversations takes, and how long it takes to mark all of a conversation as read.
 */
export const dialects: Measure = {
  names: () => [
    ...Object.keys(speaking).map((name) => `dialect_sends_${name}`),
    ...Object.keys(lists).map((name) => `dialect_list_${name}`),
    ...Object.keys(marks).map((name) => `dialect_mark_${name}`),
  ],
  run: async function* (bench) {
    const of = (kind: string) => bench.wanted.filter((name) => name.startsWith(`dialect_${kind}_`))
    if (of('sends').length > 0) yield* runSends({ ...bench, wanted: of('sends') })
    const asking = [...of('list'), ...of('mark')]
    if (asking.length > 0) yield* runAsking({ ...bench, wanted: asking })
  },
}

// ---- People as the dialects know them, and their tokens.

const trusted = Buffer.from('a secret that only this bench and its servers know')
const external = (person: number) => `p${person}`
const hex24 = (number: number) => number.toString(16).padStart(24, '0')
const base36 = (id: string) =>
  BigInt(`0x${id.replaceAll('-', '')}`)
    .toString(36)
    .padStart(25, '0')
const pairOf = (one: number, other: number) => [external(one), external(other)].sort().join('_')
const session = (person: number) => ({ sid: idOf('session', person), sv: 1 })

const tokens = {
  native: tokenOf,
  servicehub: (person: number) =>
    tokenAt(`dialect servicehub ${workspaceId}`, {
      ...{ id: String(person), role: 'CUSTOMER', username: external(person), sub: idOf('person', person) },
      ...session(person),
    }),
  priyo: (person: number) =>
    tokenAt(`priyo ${workspaceId} access`, {
      ...{ userId: base36(idOf('person', person)), jti: crypto.randomUUID() },
      ...session(person),
    }),
  livesupport: (person: number) =>
    tokenAt(`livesupport ${workspaceId}`, { userId: hex24(person), ...session(person) }),
  external: (person: number) =>
    signed({ userId: external(person), exp: Math.floor(Date.now() / 1000) + 3_600 }, trusted),
}

/** The names that dialects give, the key that signs for people elsewhere, and grants for every two who have one. */
async function seedNames(pool: Pool, { people, conversations }: { people: number; conversations: number }) {
  await pool.query(`update person set external_id = 'p' || n, username = 'p' || n
    from generate_series(1, ${people}) n where id = ${idIn('person', 'n')}`)
  await pool.query(
    `insert into identity_key (workspace_id, id, kind, material, user_id_claim)
      values ('${workspaceId}', '${idOf('inbox', 2)}', 'hs256', $1, 'userId')`,
    [trusted.toString()],
  )
  for (const [kind, count] of [
    ['person', people],
    ['conversation', conversations],
  ] as const) {
    await pool.query(`insert into alias (workspace_id, scheme, kind, id, name)
      select '${workspaceId}', scheme, '${kind}', ${idIn(kind, 'n')},
        case scheme when 'decimal' then n::text else lpad(to_hex(n), 24, '0') end
      from generate_series(1, ${count}) n, unnest(array['decimal', 'hex24']) scheme`)
    await pool.query(`insert into alias_counter (workspace_id, scheme, kind, last)
      values ('${workspaceId}', 'decimal', '${kind}', ${count})`)
  }
  await pool.query(`insert into access_grant (workspace_id, id, kind, person_a, person_b, scopes)
    select '${workspaceId}', gen_random_uuid(), 'booking', a.person_id, b.person_id, array['write', 'attach']
    from participant a join participant b using (workspace_id, conversation_id) where a.person_id < b.person_id`)
}

// ---- Sends: one in flight per conversation, the next when the last one was acknowledged.

type Voice = { send(): Promise<void>; close(): void }
type Opening = (server: Child, pair: number) => Promise<Voice>

const writerIn = (pair: number) => pair * 2
const readerIn = (pair: number) => pair * 2 + 1
const conversationOf = (pair: number) => idOf('conversation', pair)
const pairs = 50

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

async function* runSends({ scale, store, wanted }: Bench): AsyncGenerator<Line> {
  await using place = await Place.make(store)
  await place.open(async (pool) => {
    await seedPeople(pool, { people: pairs * 4 + 1 })
    await seedPairs(pool, { first: 1, count: pairs * 2, firstPerson: 2 })
    await seedNames(pool, { people: pairs * 4 + 1, conversations: pairs * 2 })
    // The second half is as TutorGo opens conversations: each send has to be granted.
    await pool.query(
      `update conversation set grant_required = true where id > ${idIn('conversation', `${pairs}`)}`,
    )
    await pool.query('vacuum analyze')
  })
  // TutorGo has a limit of its own for what one person sends.
  await using server = await Child.server(place, { PARLEY_MOUNTS: 'tutorgo?messageLimit=1000000' })
  for (const measure of wanted) {
    const name = measure.replace('dialect_sends_', '')
    const ways = speaking[name]
    if (!ways) continue
    const first = name === 'tutorgo' ? pairs + 1 : 1
    const numbers = Array.from({ length: pairs }, (_, i) => first + i)
    const native = await each(numbers, (pair) => ways.baseline(server, pair))
    const ours = await each(numbers, (pair) => ways.ours(server, pair))
    await load(native, scale.warmUpMs)
    await load(ours, scale.warmUpMs)
    const readings = await inTurns(
      scale.rounds,
      () => load(native, scale.roundMs),
      () => load(ours, scale.roundMs),
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

// ---- Lists and marks: one person's conversations with everybody else, who wrote all of it.

const reader = 1
const conversations = 200
/** So many of them are long, to be marked one after the other. */
const long = 40

type Ask = (conversation: number) => Question[]
const get = (path: string, token: string): Question => ({ method: 'GET', path, token })

const lists: Record<string, { baseline: Ask; ours: Ask }> = {
  servicehub: {
    baseline: nativeList,
    ours: () => [get('/servicehub/getClientChats', tokens.servicehub(reader))],
  },
  careforall: {
    baseline: nativeList,
    // Its pages hold a hundred at most.
    ours: () =>
      [1, 2].map((page) =>
        get(`/careforall/api/conversations?limit=100&page=${page}`, tokens.external(reader)),
      ),
  },
  priyo: { baseline: nativeList, ours: () => [get('/priyo/api/conversations', tokens.priyo(reader))] },
  livesupport: {
    baseline: nativeList,
    ours: () => [get('/livesupport/conversations', tokens.livesupport(reader))],
  },
  tutorgo: {
    baseline: nativeList,
    ours: () => [get(`/tutorgo/chat/conversations/${external(reader)}`, tokens.external(reader))],
  },
}

function nativeList(): Question[] {
  return [get(`/api/v1/conversations?limit=${conversations}`, tokens.native(reader))]
}

const patch = (path: string, token: string): Question => ({ method: 'PATCH', path, token })

/** Live Support keeps no marks. */
const marks: Record<string, Ask> = {
  servicehub: (n) => [
    patch(`/servicehub/conversations/${n}/markAllAsRead/CUSTOMER`, tokens.servicehub(reader)),
  ],
  careforall: (n) => [
    {
      ...{ method: 'PUT', path: `/careforall/api/conversations/conv_${idOf('conversation', n)}/read` },
      token: tokens.external(reader),
    },
  ],
  priyo: (n) => [
    {
      ...{ method: 'POST', path: '/priyo/api/messages/read', token: tokens.priyo(reader) },
      body: { messageIds: Array.from({ length: marked }, (_, i) => base36(messageIn(n, i + 1))) },
    },
  ],
  tutorgo: (n) => [
    patch(`/tutorgo/chat/conversations/${pairOf(reader, reader + n)}/read`, tokens.external(reader)),
  ],
}

const nativeMark: Ask = (n) => [
  {
    ...{ method: 'POST', path: `/api/v1/conversations/${idOf('conversation', n)}/receipt/all` },
    token: tokens.native(reader),
  },
]

let marked = 0
const messageIn = (conversation: number, seq: number) => idOf('message', seq * 65_536 + conversation)

async function seedReader(
  pool: Pool,
  { inLong, inShort }: { inLong: number; inShort: number },
): Promise<void> {
  const held = `case when n <= ${long} then ${inLong} else ${inShort} end`
  await pool.query(`insert into conversation (workspace_id, id, kind, last_seq, message_count, updated_at, updated_span)
    select '${workspaceId}', ${idIn('conversation', 'n')}, 'direct', ${held}, ${held}, now() - n * interval '1 second',
      span_of(now() - n * interval '1 second')
    from generate_series(1, ${conversations}) n`)
  await pool.query(`insert into participant (workspace_id, conversation_id, person_id, role)
    select '${workspaceId}', ${idIn('conversation', 'n')}, person, 'contact' from generate_series(1, ${conversations}) n,
      lateral unnest(array['${idOf('person', reader)}'::uuid, ${idIn('person', `n + ${reader}`)}]) person`)
  await pool.query(`insert into message (workspace_id, conversation_id, seq, id, sender_id, sender_role, kind, body,
      visibility, send_key, content_hash, ordinal, note_ordinal)
    select '${workspaceId}', ${idIn('conversation', 'c')}, s, ${idIn('message', '(s::bigint << 16) + c')},
      ${idIn('person', `c + ${reader}`)}, 'contact', 'text', repeat('Is it still raining there? ', 4), 'everyone',
      gen_random_uuid(), gen_random_uuid(), s, 0
    from generate_series(1, ${inLong}) s, lateral generate_series(1, case when s <= ${inShort} then ${conversations} else ${long} end) c`)
}

async function* runAsking({ scale, store, wanted }: Bench): AsyncGenerator<Line> {
  const { stored, marks: inLong } = scale.dialects
  const inShort = Math.floor((stored - inLong * long) / (conversations - long))
  marked = inLong
  await using place = await Place.make(store)
  await place.open(async (pool) => {
    await seedPeople(pool, { people: conversations + 1 })
    await seedReader(pool, { inLong, inShort })
    await seedNames(pool, { people: conversations + 1, conversations })
    await pool.query('vacuum analyze')
  })
  await using server = await Child.server(place)
  const http = await LeanHttp.open(server)
  let next = 0
  const ask = async (questions: Question[]) => {
    const asked = performance.now()
    const answers = []
    for (const question of questions) answers.push(await http.ask(question))
    const took = performance.now() - asked
    for (const { status, body } of answers)
      if (status >= 300)
        throw new Error(`${questions[0]?.path} was answered ${status}: ${body.slice(0, 500)}`)
    return { took, answers }
  }
  for (const measure of wanted.filter((name) => name.startsWith('dialect_list_'))) {
    const list = lists[measure.replace('dialect_list_', '')]
    if (!list) continue
    const times = Math.max(3, Math.round(20 * scale.askedShare))
    const round = (questions: Ask) => async () => {
      const took: number[] = []
      for (let i = 0; i < times; i++) {
        const { took: ms, answers } = await ask(questions(0))
        took.push(ms)
        const rows = answers.reduce((sum, { body }) => sum + rowsIn(JSON.parse(body)), 0)
        if (rows !== conversations) throw new Error(`${measure} shows ${rows} conversations`)
      }
      return { value: median(took), lagMs: 0 }
    }
    await round(list.baseline)()
    await round(list.ours)()
    const readings = await inTurns(scale.rounds, round(list.baseline), round(list.ours))
    yield lineOf(measure, 'ms', 'smaller', readings, Number.POSITIVE_INFINITY)
  }
  for (const measure of wanted.filter((name) => name.startsWith('dialect_mark_'))) {
    const mark = marks[measure.replace('dialect_mark_', '')]
    if (!mark) continue
    const once = (questions: Ask) => async () => ({ value: (await ask(questions(++next))).took, lagMs: 0 })
    await once(nativeMark)()
    await once(mark)()
    const readings = await inTurns(scale.rounds, once(nativeMark), once(mark))
    yield lineOf(measure, 'ms', 'smaller', readings, Number.POSITIVE_INFINITY)
  }
  const { body } = await http.ask(get(`/api/v1/conversations?limit=${conversations}`, tokens.native(reader)))
  const unread = (JSON.parse(body).conversations as { unread: number }[]).filter((one) => one.unread === 0)
  http.close()
  if (unread.length !== next) throw new Error(`${next} conversations were marked, ${unread.length} are read`)
}

/** Dialects wrap the list of conversations in different ways; it is the only list of objects at the top. */
function rowsIn(answer: unknown): number {
  if (Array.isArray(answer)) return answer.length
  if (typeof answer !== 'object' || answer === null) return 0
  for (const value of Object.values(answer)) {
    const rows = rowsIn(value)
    if (rows > 0) return rows
  }
  return 0
}
