import type { ConversationSummary, Message, Participant } from '@parley/protocol'
import { expect, test } from 'vitest'
import { faceOf } from './face.ts'
import { lastLine } from './last-line.ts'

const person = (userId: string, name: string, role: Participant['role']): Participant => ({
  userId,
  name,
  role,
  avatarUrl: null,
  joinedAt: '',
  leftAt: null,
})
const participants = [person('sam', 'Sam Okafor', 'agent'), person('maya', 'Maya', 'contact')]

function line(message: Partial<Message> | null) {
  const lastMessage = message && {
    attachments: [],
    retractedAt: null,
    visibility: 'everyone',
    body: '',
    ...message,
  }
  return lastLine({ lastMessage, participants } as unknown as ConversationSummary, 'ana')
}

test('the line tells who spoke, unless it was the contact', () => {
  expect(line({ senderRole: 'contact', senderId: 'maya', body: 'Hello\n  there' })).toBe('Hello there')
  expect(line({ senderRole: 'agent', senderId: 'ana', body: 'Hi' })).toBe('You: Hi')
  expect(line({ senderRole: 'agent', senderId: 'sam', body: 'Hi' })).toBe('Sam: Hi')
  expect(line({ senderRole: 'agent', senderId: 'sam', body: 'Hm', visibility: 'agents' })).toBe('Note: Hm')
})

test('files, retracted messages and silence have words too', () => {
  const files = [{ name: 'a.pdf' }, { name: 'b.pdf' }] as Message['attachments']
  expect(line({ senderRole: 'contact', attachments: files })).toBe('a.pdf and 1 more')
  expect(line({ senderRole: 'contact', retractedAt: '2026-03-11T10:00:00.000Z' })).toBe('Message retracted')
  expect(line(null)).toBe('No message yet')
})

test('a conversation has the face of the other side', () => {
  const of = (kind: 'support' | 'direct' | 'group', subject = '') =>
    faceOf(
      { conversation: { id: 'c', kind, subject } as ConversationSummary['conversation'], participants },
      'sam',
    )
  expect(of('support')).toEqual({ id: 'maya', userId: 'maya', name: 'Maya' })
  expect(of('group', 'Friday')).toEqual({ id: 'c', userId: null, name: 'Friday' })
})
