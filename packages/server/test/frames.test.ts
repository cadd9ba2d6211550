import {
  type ControlFrame,
  ControlFrame as ControlFrameSchema,
  type Event,
  LiveEvent,
  LogEvent,
} from '@parley/protocol'
import { Compile } from 'typebox/compile'
import { expect, test } from 'vitest'
import { startServer } from '../src/testing.ts'
import { openStream } from './streams.ts'
import { makeWorld } from './world.ts'

type Frame = Event | ControlFrame

const schemas = new Map(
  [LogEvent, LiveEvent, ControlFrameSchema].flatMap((union) =>
    union.anyOf.map((schema) => [String(schema.properties.type.const), Compile(schema)] as const),
  ),
)

test('[B7] every frame that a server sends is in the schemas and as they say, and every frame of the schemas is sent', async () => {
  const server = await startServer()
  const { ana, sam, owner, conversationId } = await makeWorld(server)
  const follow = [{ conversationId, after: 0 }]
  const sockets = [await ana.connect({ follow }), await sam.connect({ follow }), await owner.connect()]
  const stream = await openStream(sam, { follow })
  const [anaHears, samHears] = sockets
  if (!anaHears || !samHears) throw new Error('Nobody listens')
  // A follow that begins again before it has caught up does so once.
  await samHears.until(({ type }) => type === 'caughtup')
  await samHears.command('presence.watch', { userIds: [ana.userId] })
  await samHears.command('conversation.follow', { conversationId, after: 9_999 })
  await samHears.until(({ type }) => type === 'reset')
  await samHears.command('conversation.follow', { conversationId, after: 0 })
  // Typing is told to those who follow by then: the reply to a follow comes before it has caught up.
  await anaHears.until(({ type }) => type === 'caughtup')
  const caughtUp = () => samHears.heard.filter(({ type }) => type === 'caughtup').length
  await expect.poll(caughtUp, { timeout: 10_000 }).toBe(2)

  const message = await ana.send(conversationId, 'a line')
  await ana.call('message.edit', { messageId: message.id, body: 'a better line' })
  await sam.call('message.react', { messageId: message.id, emoji: '👍' })
  await sam.call('message.note', { conversationId, clientMessageId: 'n', body: 'a note' })
  await sam.call('typing.set', { conversationId, typing: true })
  await ana.call('typing.set', { conversationId, typing: true })
  await sam.call('receipt.move', { conversationId, read: message.seq })
  await ana.call('presence.set', { state: 'away' })
  await sam.call('conversation.update', {
    conversationId,
    subject: 'renamed',
    metadata: { a: [1, { b: null }] },
  })
  await sam.call('conversation.take', { conversationId })
  await ana.call('message.retract', { messageId: message.id })
  await owner.call('participant.add', { conversationId, userId: owner.userId })
  await owner.call('conversation.leave', { conversationId })
  await ana.call('conversation.create', { kind: 'support', inboxId: server.inboxId })
  await sam.call('conversation.delete', { conversationId })
  await anaHears.until(({ type }) => type === 'conversation.lost')
  await samHears.until(({ type }) => type === 'conversation.changed')
  for (const peer of server.running.parley.peers) peer.beat(server.running.parley.sweep.cursor)
  await samHears.until(({ type }) => type === 'heartbeat')
  await server[Symbol.asyncDispose]()
  await stream.ended(2_000)

  const heard: Frame[] = [...sockets, stream].flatMap((one) => one.heard)
  for (const frame of heard) {
    const schema = schemas.get(frame.type)
    const faults = schema ? schema.Errors(frame) : ['there is no such frame']
    expect({ frame, faults }).toEqual({ frame, faults: [] })
  }
  expect(new Set(heard.map(({ type }) => type))).toEqual(new Set(schemas.keys()))
})
