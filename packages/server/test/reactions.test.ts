import { limits } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startServer, type TestServer } from '../src/testing.ts'
import { expectRefusal, makeWorld, type World } from './world.ts'

let server: TestServer
let world: World

beforeAll(async () => {
  server = await startServer()
  world = await makeWorld(server)
})
afterAll(() => server[Symbol.asyncDispose]())

const faces = Array.from({ length: limits.reactionsPerPerson + 1 }, (_, n) =>
  String.fromCodePoint(0x1f600 + n),
)

async function message(): Promise<string> {
  return (await world.ana.send(world.conversationId, 'a line')).id
}

describe('[L11] a reaction is one emoji', () => {
  test.each([...['👍', '❤', '❤️', '👍🏿', '1️⃣', '🇩🇪', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', '👩‍👩‍👧‍👦', '🏳️‍🌈', '👩🏻‍❤️‍💋‍👩🏻', '👁️‍🗨️']])(
    '%s comes back as it is, and is taken back',
    async (emoji) => {
      const messageId = await message()
      const reacted = await world.sam.call('message.react', { messageId, emoji })
      expect(reacted.reactions).toEqual([{ emoji, userIds: [world.sam.userId] }])
      expect((await world.sam.call('message.unreact', { messageId, emoji })).reactions).toEqual([])
    },
  )

  test.each(['a', '1', 'nice one', ' ', ' 👍', '👍👍', '<b>', '🇩', '🏿', '\u200d', '👍'.repeat(9)])(
    '%j is none, over REST and over a socket',
    async (emoji) => {
      const messageId = await message()
      expectRefusal(await world.sam.try('message.react', { messageId, emoji }), 400, 'invalid_request')
      const socket = await world.sam.connect()
      expect(await socket.command('message.react', { messageId, emoji })).toMatchObject({
        ok: false,
        error: { code: 'invalid_request' },
      })
      socket.close()
    },
  )

  test('what was stored before as another text can still be taken back', async () => {
    const { id: messageId, seq } = await world.ana.send(world.conversationId, 'a line')
    await server.running.parley.chat.db
      .insertInto('reaction')
      .values({
        ...{ workspace_id: server.workspaceId, conversation_id: world.conversationId, seq },
        ...{ person_id: world.sam.userId, emoji: '+1' },
      })
      .execute()
    expect((await world.sam.call('message.unreact', { messageId, emoji: '+1' })).reactions).toEqual([])
  })
})

test('[L11] one person has so many reactions on a message and no more; others and other messages are not counted', async () => {
  const { ana, sam } = world
  const messageId = await message()
  const answers = await Promise.all(faces.map((emoji) => ana.try('message.react', { messageId, emoji })))
  const refused = answers.filter(({ status }) => status !== 200)
  expect(refused).toHaveLength(1)
  for (const answer of refused) expectRefusal(answer, 409, 'too_many_reactions')
  const [first, second] = answers.flatMap(({ status }, n) => (status === 200 ? (faces[n] ?? []) : []))
  await ana.call('message.react', { messageId, emoji: String(first) })
  await sam.call('message.react', { messageId, emoji: '👍' })
  await ana.call('message.react', { messageId: await message(), emoji: '👍' })
  await ana.call('message.unreact', { messageId, emoji: String(second) })
  const { reactions } = await ana.call('message.react', { messageId, emoji: '🎉' })
  expect(reactions.filter(({ userIds }) => userIds.includes(ana.userId))).toHaveLength(
    limits.reactionsPerPerson,
  )
})
