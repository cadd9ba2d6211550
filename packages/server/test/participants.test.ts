import { expect, test } from 'vitest'
import { startServer } from '../src/testing.ts'

test('people who come in together are listed in the order in which they were named', async () => {
  await using server = await startServer()
  const olga = await server.person('owner', 'olga')
  const people = [await server.person('contact', 'ana'), await server.person('contact', 'bea')]
  // The other way round than their ids, by which those of one instant would be listed.
  const named = people.map(({ userId }) => userId).toSorted((a, b) => (a < b ? 1 : -1))
  const { conversation } = await olga.call('conversation.create', { kind: 'group', participantIds: named })
  const { participants } = await olga.call('participant.list', { conversationId: conversation.id })
  expect(participants.map(({ userId }) => userId)).toEqual([olga.userId, ...named])
})
