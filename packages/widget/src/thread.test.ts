import type { Participant } from '@parley/protocol'
import { expect, test } from 'vitest'
import { message } from '../test/messages.ts'
import { companyOf, type ThreadItem, threadOf } from './thread.ts'

const at = (time: string) => `2026-05-04T${time}:00.000Z`
const sketch = (items: ThreadItem[]) =>
  items.map((item) =>
    item.kind === 'group' ? item.lines.map((line) => line.message.key).join('+') : item.kind,
  )

test('what one person writes within five minutes is one group', () => {
  const items = threadOf(
    [
      message({ key: 'a', mine: true, createdAt: at('10:00') }),
      message({ key: 'b', mine: true, createdAt: at('10:04') }),
      message({ key: 'c', mine: true, createdAt: at('10:10') }),
      message({ key: 'd', createdAt: at('10:11') }),
    ],
    [],
    null,
  )
  expect(sketch(items)).toEqual(['day', 'a+b', 'c', 'd'])
})

test('a new day begins with its name', () => {
  const items = threadOf(
    [
      message({ key: 'a', createdAt: '2026-05-04T12:00:00.000Z' }),
      message({ key: 'b', createdAt: '2026-05-06T12:00:00.000Z' }),
    ],
    [],
    null,
  )
  expect(sketch(items)).toEqual(['day', 'a', 'day', 'b'])
})

test('a line stands before the first message that came while the visitor was away', () => {
  const messages = [
    message({ key: 'a', seq: 3 }),
    message({ key: 'b', seq: 4, mine: true }),
    message({ key: 'c', seq: 5 }),
    message({ key: 'd', seq: 6 }),
  ]
  expect(sketch(threadOf(messages, [], 3))).toEqual(['day', 'a', 'b', 'new', 'c+d'])
  expect(sketch(threadOf(messages, [], null))).toEqual(['day', 'a', 'b', 'c+d'])
})

test('each status is written once, below the last message it covers; what waits or failed says so itself', () => {
  const items = threadOf(
    [
      message({ key: 'a', mine: true, status: 'read' }),
      message({ key: 'b', mine: true, status: 'read' }),
      message({ key: 'c', mine: true, status: 'delivered' }),
      message({ key: 'd', mine: true, status: 'failed' }),
      message({ key: 'e', mine: true, status: 'queued' }),
      message({ key: 'f', mine: true, status: 'queued' }),
    ],
    [],
    null,
  )
  const lines = items.flatMap((item) => (item.kind === 'group' ? item.lines : []))
  expect(lines.filter((line) => line.showsStatus).map((line) => line.message.key)).toEqual([
    'b',
    'c',
    'd',
    'e',
    'f',
  ])
})

test('groups carry the name of who wrote, and the head names the team that is here', () => {
  const sam: Participant = {
    userId: 'sam',
    name: 'Sam',
    avatarUrl: null,
    role: 'agent',
    joinedAt: at('09:00'),
    leftAt: null,
  }
  const ana: Participant = { ...sam, userId: 'ana', name: 'Ana', role: 'contact' }
  const kim: Participant = { ...sam, userId: 'kim', name: 'Kim', leftAt: at('09:30') }
  const [, group] = threadOf([message({ key: 'a' })], [sam, ana, kim], null)
  expect(group).toMatchObject({ name: 'Sam' })
  expect(companyOf([sam, ana, kim])).toBe('With Sam')
  expect(companyOf([ana])).toBeNull()
})
