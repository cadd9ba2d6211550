import type { ShownMessage } from '@parley/client'
import type { Conversation, LogEvent } from '@parley/protocol'
import { expect, test } from 'vitest'
import { timeline, type Waiting } from './timeline.ts'

const now = new Date(2026, 2, 11, 12).getTime()
const minutesAgo = (minutes: number) => new Date(now - minutes * 60_000).toISOString()

function message(
  seq: number | null,
  sender: string,
  minutes: number,
  more: Partial<ShownMessage> = {},
): ShownMessage {
  return {
    key: `k${seq ?? 'pending'}`,
    id: seq === null ? null : `m${seq}`,
    seq,
    conversationId: 'c',
    senderId: sender,
    senderRole: sender === 'maya' ? 'contact' : 'agent',
    clientMessageId: null,
    kind: 'text',
    body: `${sender} ${seq}`,
    visibility: 'everyone',
    replyToId: null,
    metadata: {},
    attachments: [],
    reactions: [],
    createdAt: minutesAgo(minutes),
    editedAt: null,
    retractedAt: null,
    mine: sender === 'ana',
    status: 'sent',
    error: null,
    ...more,
  }
}

const notice = (seq: number, minutes: number, changes = {}): LogEvent => ({
  type: 'conversation.updated',
  conversationId: 'c',
  seq,
  at: minutesAgo(minutes),
  actorId: 'sam',
  changes,
})

/** The timeline in a line: groups as `sender:count`, with `>` for those on the end side and `#` for notes. */
function draw(messages: ShownMessage[], notices: LogEvent[] = [], waiting: Waiting | null = null) {
  const conversation = { kind: 'support' } as Conversation
  return timeline({ messages, notices, conversation }, { nameOf: String, now, waiting }).map((entry) => {
    if (entry.type === 'day') return `[${entry.name}]`
    if (entry.type === 'notice') return `(${entry.text})`
    if (entry.type === 'unread') return '--new--'
    const { senderId, side, isNote, messages } = entry.group
    return `${side === 'end' ? '>' : ''}${isNote ? '#' : ''}${senderId}:${messages.length}`
  })
}

test('what somebody sends in one go is one group, until another speaks or time passes', () => {
  const messages = [
    message(1, 'maya', 30),
    message(2, 'maya', 29),
    message(3, 'ana', 28),
    message(4, 'maya', 20),
    message(5, 'maya', 10),
  ]
  expect(draw(messages)).toEqual(['[Today]', 'maya:2', '>ana:1', 'maya:1', 'maya:1'])
})

test('a note never shares a group with a message that the contact sees', () => {
  const messages = [
    message(1, 'ana', 3),
    message(2, 'ana', 2, { visibility: 'agents' }),
    message(3, 'ana', 1),
  ]
  expect(draw(messages)).toEqual(['[Today]', '>ana:1', '>#ana:1', '>ana:1'])
})

test('colleagues stand on the side of the team', () => {
  expect(draw([message(1, 'sam', 1)])).toEqual(['[Today]', '>sam:1'])
})

test('notices stand at their place in the log and part groups; pending messages come last', () => {
  const messages = [
    message(1, 'maya', 5),
    message(3, 'maya', 4),
    message(null, 'ana', 3, { status: 'queued' }),
  ]
  const notices = [notice(2, 5, { status: 'closed' }), notice(4, 3, { status: 'open' })]
  expect(draw(messages, notices)).toEqual([
    '[Today]',
    'maya:1',
    '(sam closed the conversation)',
    'maya:1',
    '(sam reopened the conversation)',
    '>ana:1',
  ])
})

test('each day has its heading', () => {
  const messages = [message(1, 'maya', 24 * 60), message(2, 'maya', 24 * 60 - 1), message(3, 'maya', 1)]
  expect(draw(messages)).toEqual(['[Yesterday]', 'maya:2', '[Today]', 'maya:1'])
})

test('the line stands once, above the first that waited; what came later is not behind it', () => {
  const messages = [message(1, 'maya', 3), message(2, 'ana', 2), message(3, 'maya', 1), message(4, 'maya', 1)]
  expect(draw(messages, [], { readTo: 1, last: 3 })).toEqual([
    '[Today]',
    'maya:1',
    '>ana:1',
    '--new--',
    'maya:2',
  ])
  expect(draw(messages, [], { readTo: 2, last: 2 })).not.toContain('--new--')
})

test('that somebody joined is not told beside the assignment that brought them in', () => {
  const participant = {
    userId: 'sam',
    name: 'Sam',
    avatarUrl: null,
    role: 'agent' as const,
    joinedAt: '',
    leftAt: null,
  }
  const joined: LogEvent = { ...notice(2, 4), type: 'participant.joined', participant }
  const taken = notice(3, 4, { assigneeId: 'sam', status: 'assigned' })
  expect(draw([message(1, 'maya', 5)], [joined, taken])).toEqual([
    '[Today]',
    'maya:1',
    '(sam took the conversation)',
  ])
  expect(draw([message(1, 'maya', 5)], [joined])).toEqual(['[Today]', 'maya:1', '(Sam joined)'])
})

test('a message that was refused stands where it was written, and notices keep their place around it', () => {
  const refused = message(null, 'ana', 8, { status: 'failed' })
  const drawn = draw(
    [message(2, 'maya', 9), refused, message(4, 'maya', 2)],
    [notice(3, 7, { status: 'closed' }), notice(5, 1, { status: 'open' })],
  )
  expect(drawn.map((one) => one.replace(/^\(.*\)$/, '()'))).toEqual([
    '[Today]',
    'maya:1',
    '()',
    '>ana:1',
    'maya:1',
    '()',
  ])
})
