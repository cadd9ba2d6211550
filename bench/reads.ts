import { idOf, seedHistory, seedPeople, seedWorkspace } from './cast.ts'
import { Child } from './child.ts'
import { type Bench, inTurns, type Line, lineOf, type Measure, median, type Reading } from './measure.ts'
import { Place, type StoreKind } from './place.ts'
import type { ClientSocket } from './socket.ts'
import { join, read, within } from './wire.ts'

/**
 * What an agent's desk asks, at few and at many stored messages, through one socket and one at a time. Here the
 * baseline is the same server with few messages: the ratio says how flat the time is. Two fifths of the messages lie
 * in one conversation, whose middle is paged through; the rest is spread over 199 others, all of it unread.
 */
export const reads: Measure = { names: () => Object.keys(questions), run: runReads }

const conversations = 200

/** What is asked, how often in a round, and what of the answer must be so. */
type Question = {
  times: number
  ask(library: Library, time: number): Record<string, unknown>
  expect(library: Library, result: Record<string, unknown[]> & { count: number }): boolean
}

const pageSize = 50

const questions: Record<string, Question> = {
  history_page: {
    times: 300,
    ask: ({ inFirst }, time) => ({
      type: 'message.list',
      conversationId: idOf('conversation', 1),
      before: Math.floor(inFirst / 2) + (time % Math.floor(inFirst / 4)),
      limit: pageSize,
    }),
    expect: (_, { messages }) => messages?.length === pageSize,
  },
  conversation_list: {
    times: 40,
    ask: () => ({ type: 'conversation.list', limit: conversations }),
    expect: ({ stored }, { conversations: rows }) =>
      rows?.length === conversations &&
      stored === (rows as { unread: number }[]).reduce((sum, { unread }) => sum + unread, 0),
  },
  mark_all_read: {
    times: conversations - 1,
    ask: (_, time) => ({ type: 'receipt.markAllRead', conversationId: idOf('conversation', 2 + time) }),
    expect: ({ inEach }, { count }) => count === inEach,
  },
}

async function* runReads({ scale, store, wanted }: Bench): AsyncGenerator<Line> {
  const agents = wanted.length * (scale.rounds + 1)
  const [few, many] = await Promise.all([
    Library.make(store, scale.messages.few, agents),
    Library.make(store, scale.messages.many, agents),
  ])
  await using libraries = new AsyncDisposableStack()
  libraries.use(few)
  libraries.use(many)
  for (const name of wanted) {
    const question = questions[name]
    if (!question) continue
    const times = Math.max(5, Math.round(question.times * scale.askedShare))
    // The first round of each is not counted: it finds the rows on disk.
    await few.ask(question, times)
    await many.ask(question, times)
    const readings = await inTurns(
      scale.rounds,
      () => few.ask(question, times),
      () => many.ask(question, times),
    )
    yield lineOf(name, 'ms', 'smaller', readings, Number.POSITIVE_INFINITY)
  }
}

/** A server whose store holds so many messages. */
class Library implements AsyncDisposable {
  readonly stored: number
  readonly inFirst: number
  readonly inEach: number
  readonly #place: Place
  readonly #server: Child
  #agent = 0

  static async make(kind: StoreKind, messages: number, agents: number): Promise<Library> {
    const place = await Place.make(kind)
    const inEach = Math.floor((messages * 0.6) / (conversations - 1))
    const inFirst = messages - inEach * (conversations - 1)
    await place.open(async (pool) => {
      await seedWorkspace(pool)
      await seedPeople(pool, { first: 1, count: agents + 1, agents })
      await seedHistory(pool, { contact: agents + 1, conversations, inFirst, inEach })
      await pool.query('vacuum analyze')
    })
    return new Library(place, await Child.server(place), { inFirst, inEach })
  }

  private constructor(place: Place, server: Child, { inFirst, inEach }: { inFirst: number; inEach: number }) {
    this.#place = place
    this.#server = server
    this.inFirst = inFirst
    this.inEach = inEach
    this.stored = inFirst + inEach * (conversations - 1)
  }

  /** The median time of an answer. Each round is another agent's, who has read nothing yet. */
  async ask(question: Question, times: number): Promise<Reading> {
    const desk = new Desk(await join(this.#server, ++this.#agent))
    const took: number[] = []
    for (let time = 0; time < times; time++) {
      const frame = { id: time + 1, ...question.ask(this, time) }
      const asked = performance.now()
      const answer = await desk.ask(frame)
      took.push(performance.now() - asked)
      const { ok, result, error } = JSON.parse(answer.toString())
      if (!ok || !question.expect(this, result)) {
        throw new Error(
          `${JSON.stringify(frame)} was answered with ${JSON.stringify(error ?? result).slice(0, 500)}`,
        )
      }
    }
    desk.close()
    return { value: median(took), lagMs: 0 }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
    await this.#place[Symbol.asyncDispose]()
  }
}

/** Asks one thing at a time. The answer is only copied while the clock runs, and read afterwards. */
class Desk {
  readonly #socket: ClientSocket
  #answered: (answer: Buffer) => void = () => {}

  constructor(socket: ClientSocket) {
    this.#socket = socket
    socket.onFrame = (bytes, start, end) => {
      if (read(bytes, start, end).kind === 'reply') this.#answered(Buffer.from(bytes.subarray(start, end)))
    }
  }

  ask(command: object): Promise<Buffer> {
    const answer = new Promise<Buffer>((resolve) => {
      this.#answered = resolve
    })
    this.#socket.write(JSON.stringify(command))
    return within(30_000, answer, () => `${JSON.stringify(command)} was not answered`)
  }

  close(): void {
    this.#socket.close()
  }
}
