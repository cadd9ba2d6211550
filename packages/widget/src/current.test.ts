import type { ConversationSummary } from '@parley/protocol'
import { expect, test } from 'vitest'
import { currentOf } from './current.ts'

const row = (id: string, status: string, inboxId = 'i1', kind = 'support') =>
  ({ conversation: { id, status, inboxId, kind } }) as ConversationSummary
const nothing = { remembered: null, made: null }

test('until the rows are here, the one of last time is shown', () => {
  expect(currentOf(null, null, { remembered: 'a', made: null })).toBe('a')
  expect(currentOf(null, null, nothing)).toBeNull()
})

test('the living one that moved last is shown, else the last closed one', () => {
  expect(currentOf([row('a', 'closed'), row('b', 'assigned'), row('c', 'open')], 'i1', nothing)).toBe('b')
  expect(currentOf([row('a', 'closed'), row('b', 'archived')], 'i1', nothing)).toBe('a')
})

test('one just made is shown before it is among the rows, and then like every other', () => {
  expect(currentOf([row('a', 'open')], 'i1', { remembered: 'a', made: 'b' })).toBe('b')
  expect(currentOf([row('a', 'open'), row('b', 'closed')], 'i1', { remembered: 'b', made: 'b' })).toBe('a')
})

test('conversations of another inbox or kind are somebody else’s to show', () => {
  expect(currentOf([row('a', 'open', 'i2'), row('b', 'open', 'i1', 'direct')], 'i1', nothing)).toBeNull()
})
