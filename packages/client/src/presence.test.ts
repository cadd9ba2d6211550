import type { Presence } from '@parley/protocol'
import { expect, test } from 'vitest'
import { presenceStore } from './presence.ts'

test('[W4] what the server does not know stays unknown, and without a connection nothing is said of anybody', async () => {
  const asked: string[][] = []
  const answer = (state: Presence['state']) => [{ userId: 'sam', state, lastSeenAt: null }]
  let presence = answer('unknown')
  const presences = presenceStore(async (userIds) => {
    asked.push(userIds)
    return { presence }
  })
  const shown = () => [...presences.store.get().values()].map(({ state }) => state)
  const unwatch = presences.store.watch(['sam'])
  await expect.poll(shown).toEqual(['unknown'])
  presences.changed({ userId: 'sam', state: 'online', lastSeenAt: null })
  expect(shown()).toEqual(['online'])
  presences.lost()
  expect(shown()).toEqual([])
  presence = answer('away')
  presences.welcomed()
  await expect.poll(shown).toEqual(['away'])
  unwatch()
  expect(asked).toEqual([['sam'], ['sam']])
})
