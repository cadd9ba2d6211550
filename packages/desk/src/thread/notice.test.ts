import type { LogEvent } from '@parley/protocol'
import { expect, test } from 'vitest'
import { noticeText } from './notice.ts'
import { namesOf } from './people.ts'

const nameOf = namesOf(
  [{ userId: 'maya', name: 'Maya' }],
  [
    { id: 'ana', name: 'Ana' },
    { id: 'sam', name: 'Sam' },
  ],
  'ana',
)
const logged = { conversationId: 'c', seq: 4, at: '2026-03-11T10:00:00.000Z' }

function changed(actorId: string | null, changes: (LogEvent & { type: 'conversation.updated' })['changes']) {
  return noticeText({ type: 'conversation.updated', ...logged, actorId, changes }, nameOf)
}

test('an assignment says who gave it to whom', () => {
  expect(changed('sam', { assigneeId: 'sam', status: 'assigned' })).toBe('Sam took the conversation')
  expect(changed('ana', { assigneeId: 'ana', status: 'assigned' })).toBe('You took the conversation')
  expect(changed('sam', { assigneeId: 'ana', status: 'assigned' })).toBe('Sam assigned it to you')
  expect(changed('ana', { assigneeId: null, status: 'open' })).toBe('You put it back to the inbox')
})

test('a status says what has become of it', () => {
  expect(changed('maya', { status: 'closed', closedAt: logged.at })).toBe('Maya closed the conversation')
  expect(changed('sam', { status: 'assigned', closedAt: null })).toBe('Sam reopened the conversation')
  expect(changed(null, { status: 'archived' })).toBe('Somebody archived the conversation')
})

test('joining and leaving tell who did it, if it was somebody else', () => {
  const participant = {
    userId: 'sam',
    name: 'Sam',
    avatarUrl: null,
    role: 'agent' as const,
    joinedAt: logged.at,
    leftAt: null,
  }
  const joined = (actorId: string) =>
    noticeText({ type: 'participant.joined', ...logged, actorId, participant }, nameOf)
  expect([joined('sam'), joined('ana')]).toEqual(['Sam joined', 'You added Sam'])
  const left = (actorId: string) =>
    noticeText({ type: 'participant.left', ...logged, actorId, userId: 'ana' }, nameOf)
  expect([left('ana'), left('sam')]).toEqual(['You left', 'Sam removed you'])
})

test('what nobody needs to read is not told', () => {
  expect(changed('sam', { metadata: { page: '/' } })).toBeNull()
})
