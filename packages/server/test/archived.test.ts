import { afterAll, beforeAll, expect, test } from 'vitest'
import { startServer, type TestServer } from '../src/testing.ts'
import { expectRefusal } from './world.ts'

let server: TestServer

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

async function archived() {
  const [ana, sam, tom] = [
    await server.person('contact', 'ana'),
    await server.person('agent', 'sam'),
    await server.person('agent', 'tom'),
  ]
  const { conversation } = await ana.call('conversation.create', {
    kind: 'support',
    inboxId: server.inboxId,
  })
  const conversationId = conversation.id
  const asked = await ana.send(conversationId, 'a question')
  const answered = await sam.send(conversationId, 'an answer')
  await sam.call('message.react', { messageId: asked.id, emoji: '👍' })
  await sam.call('conversation.archive', { conversationId })
  return { ana, sam, tom, conversationId, asked, answered }
}

test('an archived conversation is not written to: nothing of it changes, whoever tries', async () => {
  const { ana, sam, tom, conversationId, asked, answered } = await archived()
  const before = await sam.call('log.list', { conversationId, after: 0 })
  const refused = [
    ana.try('message.react', { messageId: answered.id, emoji: '👍' }),
    sam.try('message.react', { messageId: asked.id, emoji: '🎉' }),
    sam.try('message.unreact', { messageId: asked.id, emoji: '👍' }),
    ana.try('message.retract', { messageId: asked.id }),
    sam.try('message.retract', { messageId: answered.id }),
    ana.try('conversation.update', { conversationId, subject: 'another' }),
    sam.try('conversation.update', { conversationId, metadata: { a: 1 } }),
    sam.try('conversation.update', { conversationId, topic: 'BILLING', priority: 2 }),
    sam.try('participant.add', { conversationId, userId: tom.userId }),
  ]
  for (const answer of await Promise.all(refused)) expectRefusal(answer, 409, 'conversation_archived')
  expect(await sam.call('log.list', { conversationId, after: 0 })).toEqual(before)
})

test('the team still takes out of an archived conversation what somebody else wrote', async () => {
  const { ana, sam, conversationId, asked } = await archived()
  expect((await sam.call('message.retract', { messageId: asked.id })).body).toBe('')
  expect((await ana.call('message.retract', { messageId: asked.id })).body).toBe('')
  await sam.call('conversation.reopen', { conversationId })
  await ana.call('conversation.update', { conversationId, subject: 'another' })
})
