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

test('[A11] whoever is no agent neither goes without a grant nor meets the team by its ids', async () => {
  await using server = await startServer()
  const owner = await server.person('owner')
  const [ana, sam] = [await server.person('contact', 'ana'), await server.person('agent', 'sam')]
  const bea = await server.person('contact', 'bea')
  const pair = { kind: 'direct' as const, participantIds: [bea.userId] }
  const { id: grantId } = await owner.call('grant.create', { userIds: [ana.userId, bea.userId] })
  expect((await ana.try('conversation.create', { ...pair, grantRequired: false })).status).toBe(403)
  const { conversation: direct } = await ana.call('conversation.create', pair)
  await ana.send(direct.id, 'hello')
  await owner.call('grant.end', { grantId })
  for (const attempt of [
    ana.try('message.send', { conversationId: direct.id, clientMessageId: 'x', body: 'again' }),
    ana.try('conversation.update', { conversationId: direct.id, subject: 'again' }),
    ana.try('typing.set', { conversationId: direct.id, typing: true }),
  ])
    expect((await attempt).body.error.code).toBe('grant_required')

  const { conversation: group } = await ana.call('conversation.create', { kind: 'group' })
  const bringIn = { conversationId: group.id, userId: sam.userId }
  expect((await ana.try('participant.add', bringIn)).status).toBe(404)
  await owner.call('grant.create', { userIds: [ana.userId, sam.userId] })
  expect((await ana.try('participant.add', bringIn)).status).toBe(200)
})

test('[A3] a visitor of a widget writes to its inbox, and opens nothing else', async () => {
  await using server = await startServer()
  const { body } = await server.rest('POST', `/api/v1/widget/${server.widgetKey}/session`, { body: {} })
  const { status } = await server.rest('POST', '/api/v1/conversations', {
    token: body.accessToken,
    body: { kind: 'group' },
  })
  expect(status).toBe(403)
})
