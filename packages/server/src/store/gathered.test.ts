import { sql } from 'kysely'
import pg from 'pg'
import { expect, test } from 'vitest'
import { startServer } from '../testing.ts'
import { answersOf, asked, gathered } from './gathered.ts'
import type { Db } from './store.ts'

const nowhere = {} as Db

/** Answers each number by its double when it is let go, and remembers the lots in which it was asked. */
function doubling() {
  const lots: { questions: readonly number[]; letGo: () => void }[] = []
  const ask = gathered<number, number>(
    async (_db, questions) => {
      await new Promise<void>((letGo) => lots.push({ questions, letGo }))
      return questions.map((question) => question * 2)
    },
    { most: 3 },
  )
  return { lots, ask: (question: number) => ask(nowhere, question) }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('what is asked in one turn is asked together, and what comes meanwhile waits for one of two lots to be answered', async () => {
  const { lots, ask } = doubling()
  const first = [ask(1), ask(2)]
  await turn()
  const second = ask(3)
  await turn()
  const waiting = [4, 5, 6, 7].map(ask)
  await turn()
  expect(lots.map(({ questions }) => questions)).toEqual([[1, 2], [3]])
  lots[1]?.letGo()
  expect(await second).toBe(6)
  await turn()
  expect(lots[2]?.questions).toEqual([4, 5, 6])
  for (const { letGo } of lots) letGo()
  expect(await Promise.all(first)).toEqual([2, 4])
  await turn()
  for (const { letGo } of lots) letGo()
  expect(await Promise.all(waiting)).toEqual([8, 10, 12, 14])
})

test('lots that are not answered keep nobody waiting for long', async () => {
  const { lots, ask } = doubling()
  for (const stuck of [1, 2]) {
    void ask(stuck)
    await turn()
  }
  const later = ask(3)
  while (lots.length < 3) await turn()
  lots[2]?.letGo()
  expect(await later).toBe(6)
})

test('what the store refuses is refused to whoever asked it, and to nobody else of the lot', async () => {
  await using server = await startServer()
  const { db } = server.running.parley.chat.store
  let statements = 0
  const halved = gathered(async (on: Db, questions: readonly number[]) => {
    statements++
    const { rows } = await sql<{ place: number; half: number }>`select q.place::int, 100 / q.number as half
      from ${asked(questions, { number: ['int', (question: number) => question] })}`.execute(on)
    return answersOf(questions.length, rows).map(([row]) => row?.half)
  })
  const answers = await Promise.allSettled([4, 0, 5].map((number) => halved(db, number)))
  expect(answers).toMatchObject([
    { status: 'fulfilled', value: 25 },
    { status: 'rejected', reason: { code: '22012' } },
    { status: 'fulfilled', value: 20 },
  ])
  expect(statements).toBe(4)
})

test('a store that goes away is asked once for all who asked', async () => {
  let statements = 0
  const ask = gathered<number, number>(async () => {
    statements++
    throw Object.assign(new pg.DatabaseError('terminating connection', 0, 'error'), { code: '57P01' })
  })
  const answers = await Promise.allSettled([1, 2, 3].map((question) => ask(nowhere, question)))
  expect(answers).toMatchObject(answers.map(() => ({ status: 'rejected', reason: { code: '57P01' } })))
  expect(statements).toBe(1)
})

test('in a transaction it asks within that, and sees what was written there', async () => {
  await using server = await startServer()
  const { db } = server.running.parley.chat.store
  const kept = gathered(async (on: Db, keys: readonly string[]) => {
    const { rows } = await sql<{ place: number; value: string }>`select q.place::int, m.value
      from ${asked(keys, { key: ['text', (key: string) => key] })} join server_meta m on m.key = q.key`.execute(
      on,
    )
    return answersOf(keys.length, rows).map(([row]) => row?.value)
  })
  await db.transaction().execute(async (tx) => {
    await tx.insertInto('server_meta').values({ key: 'within', value: 'seen' }).execute()
    expect(await kept(tx, 'within')).toBe('seen')
  })
})
