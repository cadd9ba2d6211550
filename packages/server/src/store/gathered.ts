import { type RawBuilder, sql } from 'kysely'
import pg from 'pg'
import type { Db } from './store.ts'

const lotsAtOnce = 2
/** A lot that is not answered by then waits for something that the next one may not. */
const patienceMs = 100

/** Answers questions in their order, by one statement. */
type AskAll<Question, Answer> = (db: Db, questions: readonly Question[]) => Promise<readonly Answer[]>

/**
 * A question that many ask at once, asked of the store in lots: those that come while others are being answered wait
 * together and go as one statement. A lone question waits for nobody. When ten thousand come back after a restart, each with
 * five questions, most of what they cost is waking a process of PostgreSQL (80 us for each write to its socket).
 *
 * A transaction asks at once, and by itself: it holds locks.
 */
export function gathered<Question, Answer>(
  askAll: AskAll<Question, Answer>,
  { most = 256 }: { most?: number } = {},
): (db: Db, question: Question) => Promise<Answer> {
  const gatherings = new WeakMap<Db, Gathering<Question, Answer>>()
  return async (db, question) => {
    const askEach: AskEach<Question, Answer> = async (questions) => {
      const answers = await askAll(db, questions)
      if (answers.length === questions.length) return answers
      throw new Error(`${answers.length} answers to ${questions.length} questions`)
    }
    if (db.isTransaction) return (await askEach([question]))[0] as Answer
    const gathering = gatherings.get(db) ?? new Gathering(askEach, most)
    gatherings.set(db, gathering)
    return gathering.ask(question)
  }
}

type AskEach<Question, Answer> = (questions: readonly Question[]) => Promise<readonly Answer[]>
type Entry<Question, Answer> = {
  question: Question
  resolve(answer: Answer): void
  reject(error: unknown): void
}

class Gathering<Question, Answer> {
  readonly #askEach: AskEach<Question, Answer>
  readonly #most: number
  #waiting: Entry<Question, Answer>[] = []
  #underWay = 0
  #isDue = false

  constructor(askEach: AskEach<Question, Answer>, most: number) {
    this.#askEach = askEach
    this.#most = most
  }

  ask(question: Question): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    this.#waiting.push({ question, resolve, reject })
    this.#beginSoon()
    return promise
  }

  /** When everything that this turn of the loop brings has been read. */
  #beginSoon(): void {
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      this.#begin()
    })
  }

  #begin(): void {
    if (this.#underWay >= lotsAtOnce || this.#waiting.length === 0) return
    const lot = this.#waiting.splice(0, this.#most)
    this.#underWay++
    let counts = true
    const makeRoom = () => {
      if (!counts) return
      counts = false
      this.#underWay--
      this.#begin()
    }
    const patience = setTimeout(makeRoom, patienceMs)
    this.#answer(lot).finally(() => {
      clearTimeout(patience)
      makeRoom()
    })
  }

  async #answer(lot: readonly Entry<Question, Answer>[]): Promise<void> {
    try {
      const answers = await this.#askEach(lot.map(({ question }) => question))
      for (const [place, answer] of answers.entries()) lot[place]?.resolve(answer)
    } catch (error) {
      // The others must not hear of it. An outage is everybody's: asked one by one, the last would wait for all before it.
      if (lot.length > 1 && isRefusedData(error)) for (const entry of lot) await this.#answer([entry])
      else for (const { reject } of lot) reject(error)
    }
  }
}

/** What one of them asked cannot be read, a text that is no id for one (SQLSTATE class 22). */
const isRefusedData = (error: unknown) => error instanceof pg.DatabaseError && error.code?.startsWith('22')

/**
 * The questions as rows `q` of a statement, in columns of these types, with `place` counting from 1. What answers one stands
 * in a lateral sub-select; a single row is found by a range of its key, in order (`id between q.id and q.id order by id
 * limit 1`), which only the index of that key can answer. For an equation the planner takes any index that begins with the
 * workspace while it has no statistics, and reads all of it.
 *
 * Each list is hidden in a sub-select, so that the planner does not see how long it is: with one question it would think
 * a plan for any number dear beside one for just this, and make that anew each time.
 */
export function asked<Question>(
  questions: readonly Question[],
  columns: Record<string, readonly [type: string, of: (question: Question) => string | number | null]>,
): RawBuilder<unknown> {
  const lists = Object.values(columns).map(
    ([type, of]) => sql`(select ${questions.map(of)}::${sql.raw(type)}[])`,
  )
  const names = sql.raw([...Object.keys(columns), 'place'].join(', '))
  return sql`unnest(${sql.join(lists)}) with ordinality as q (${names})`
}

/** The rows that answer each question, by their `place`. */
export function answersOf<Row extends { place: number }>(count: number, rows: readonly Row[]): Row[][] {
  const answers = Array.from({ length: count }, (): Row[] => [])
  for (const row of rows) answers[row.place - 1]?.push(row)
  return answers
}
