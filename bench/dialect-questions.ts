import type { Pool } from 'pg'
import { idIn, idOf, seedPeople, workspaceId } from './cast.ts'
import type { Child } from './child.ts'
import { base36, external, pairOf, type Range, seedNames, tokens } from './dialect-names.ts'
import { LeanHttp, type Question } from './http.ts'
import { type Bench, inTurns, type Line, lineOf, median, type Tenant } from './measure.ts'

/**
 * How long the list of all conversations takes in each dialect, and how long it takes to mark all of a conversation as
 * read, beside the native API: two people's conversations with many others, who wrote all of it. One reads lists, the
 * other marks a conversation with each request.
 */
export const dialectQuestions: Tenant = {
  names: () => [
    ...Object.keys(lists).map((name) => `dialect_list_${name}`),
    ...Object.keys(marks).map((name) => `dialect_mark_${name}`),
  ],
  seed: async (pool, { scale }) => {
    const { stored, marks: inLong } = scale.dialects
    const count = listed.count + long.count
    const people = { first: reader, count: 2 + count }
    await seedPeople(pool, people)
    await seedHeard(pool, reader, listed, stored / listed.count)
    await seedHeard(pool, marker, long, inLong)
    await seedNames(pool, { people, conversations: { first: listed.first, count } })
  },
  run,
}

const reader = 20_000
const marker = 20_001
const listed: Range = { first: 4_001, count: 200 }
const long: Range = { first: 4_201, count: 80 }
/** The next people after those two are the others, one for each conversation. */
const otherIn = (conversation: number) => marker + 1 + conversation - listed.first

async function* run({ scale, wanted }: Bench, { server }: { server: Child }): AsyncGenerator<Line> {
  marked = scale.dialects.marks
  const http = await LeanHttp.open(server)
  let next = long.first
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
    const round = (questions: List) => async () => {
      const took: number[] = []
      for (let i = 0; i < times; i++) {
        const { took: ms, answers } = await ask(questions())
        took.push(ms)
        const rows = answers.reduce((sum, { body }) => sum + rowsIn(JSON.parse(body)), 0)
        if (rows !== listed.count) throw new Error(`${measure} shows ${rows} conversations`)
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
    const once = (questions: Mark) => async () => ({ value: (await ask(questions(next++))).took, lagMs: 0 })
    await inTurns(scale.dialects.warmUps, once(nativeMark), once(mark))
    const readings = await inTurns(scale.rounds, once(nativeMark), once(mark))
    yield lineOf(measure, 'ms', 'smaller', readings, Number.POSITIVE_INFINITY)
  }
  const { body } = await http.ask(get(`/api/v1/conversations?limit=${listed.count}`, tokens.native(marker)))
  const unread = (JSON.parse(body).conversations as { unread: number }[]).filter((one) => one.unread === 0)
  http.close()
  const done = next - long.first
  if (unread.length !== done) throw new Error(`${done} conversations were marked, ${unread.length} are read`)
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

/** A list, or a mark of one conversation. */
type List = () => Question[]
type Mark = (conversation: number) => Question[]
const get = (path: string, token: string): Question => ({ method: 'GET', path, token })

const lists: Record<string, { baseline: List; ours: List }> = {
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
  return [get(`/api/v1/conversations?limit=${listed.count}`, tokens.native(reader))]
}

const patch = (path: string, token: string): Question => ({ method: 'PATCH', path, token })

/** Live Support keeps no marks. */
const marks: Record<string, Mark> = {
  servicehub: (n) => [
    patch(`/servicehub/conversations/${n}/markAllAsRead/CUSTOMER`, tokens.servicehub(marker)),
  ],
  careforall: (n) => [
    {
      ...{ method: 'PUT', path: `/careforall/api/conversations/conv_${idOf('conversation', n)}/read` },
      token: tokens.external(marker),
    },
  ],
  priyo: (n) => [
    {
      ...{ method: 'POST', path: '/priyo/api/messages/read', token: tokens.priyo(marker) },
      body: { messageIds: Array.from({ length: marked }, (_, i) => base36(messageIn(n, i + 1))) },
    },
  ],
  tutorgo: (n) => [
    patch(`/tutorgo/chat/conversations/${pairOf(marker, otherIn(n))}/read`, tokens.external(marker)),
  ],
}

const nativeMark: Mark = (n) => [
  {
    ...{ method: 'POST', path: `/api/v1/conversations/${idOf('conversation', n)}/receipt/all` },
    token: tokens.native(marker),
  },
]

let marked = 0
const messageIn = (conversation: number, seq: number) => idOf('message', seq * 65_536 + conversation)

/** Somebody's conversations with one other person each, who wrote `held` messages in each of them. */
async function seedHeard(pool: Pool, person: number, { first, count }: Range, held: number): Promise<void> {
  const last = first + count - 1
  const other = idIn('person', `n + ${otherIn(0)}`)
  const age = `(n - ${first}) * interval '1 second'`
  await pool.query(`insert into conversation (workspace_id, id, kind, last_seq, message_count, updated_at, updated_span)
    select '${workspaceId}', ${idIn('conversation', 'n')}, 'direct', ${held}, ${held}, now() - ${age}, span_of(now() - ${age})
    from generate_series(${first}, ${last}) n`)
  await pool.query(`insert into participant (workspace_id, conversation_id, person_id, role)
    select '${workspaceId}', ${idIn('conversation', 'n')}, person, 'contact'
    from generate_series(${first}, ${last}) n,
      lateral unnest(array['${idOf('person', person)}'::uuid, ${other}]) person`)
  await pool.query(`insert into message (workspace_id, conversation_id, seq, id, sender_id, sender_role, kind, body,
      visibility, send_key, content_hash, ordinal, note_ordinal)
    select '${workspaceId}', ${idIn('conversation', 'n')}, s, ${idIn('message', '(s::bigint << 16) + n')}, ${other}, 'contact',
      'text', repeat('Is it still raining there? ', 4), 'everyone', gen_random_uuid(), gen_random_uuid(), s, 0
    from generate_series(1, ${held}) s, generate_series(${first}, ${last}) n`)
}
