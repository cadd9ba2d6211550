import { expect, test } from 'vitest'
import { startServer } from '../src/testing.ts'

test('every connection to the store speaks in UTC and compiles no plans', async () => {
  await using server = await startServer()
  const { pool } = server.running.parley.chat.store
  const settings = await Promise.all(
    Array.from({ length: 3 }, () =>
      pool.query("select current_setting('timezone') as timezone, current_setting('jit') as jit"),
    ),
  )
  for (const { rows } of settings) expect(rows).toEqual([{ timezone: 'UTC', jit: 'off' }])
})
