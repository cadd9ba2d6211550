import { limits, type OperationName, operationOf } from '@parley/protocol'
import { expect, test } from 'vitest'
import { type Person, startServer } from '../src/testing.ts'
import { openWire, transports } from './wires.ts'
import { digest, makeWorld } from './world.ts'

type Refusal = [
  who: Person,
  name: OperationName,
  input: Record<string, unknown>,
  code: string,
  beside: object,
]

test('[E2] [E4] what is refused has changed nothing, over any transport, and says beside its code what the reference names', async () => {
  await using server = await startServer()
  const world = await makeWorld(server)
  const { ana, sam, owner, conversationId } = world
  const sue = await server.person('supervisor', 'sue')
  const bea = await server.person('contact', 'bea')
  const text = { clientMessageId: 'new', body: 'a line' }
  const open = async (clientKey: string) =>
    (await ana.call('conversation.create', { kind: 'support', clientKey })).conversation.id
  const [taken, archived] = [await open('taken'), await open('archived')]
  const { id: inboxId } = await owner.call('inbox.create', { name: 'Never again', reopenHours: 0 })
  const { conversation } = await ana.call('conversation.create', { kind: 'support', inboxId })
  const closed = conversation.id
  await sue.call('conversation.take', { conversationId: taken })
  const old = await ana.send(archived, 'before')
  await sam.call('conversation.archive', { conversationId: archived })
  await owner.call('conversation.close', { conversationId: closed })
  const full = await ana.send(conversationId, 'much liked')
  const emojis = Array.from({ length: limits.reactionsPerPerson + 1 }, (_, n) =>
    String.fromCodePoint(0x1f600 + n),
  )
  for (const emoji of emojis.slice(1)) await sam.call('message.react', { messageId: full.id, emoji })
  const gone = await ana.send(conversationId, 'gone')
  await ana.call('message.retract', { messageId: gone.id })
  const direct = await owner.call('conversation.create', { kind: 'direct', participantIds: [sue.userId] })
  const granted = await owner.call('conversation.create', {
    kind: 'group',
    participantIds: [ana.userId, bea.userId],
    grantRequired: true,
  })
  const here = { conversationId }

  const refusals: Refusal[] = [
    [ana, 'message.send', { ...here, ...text, clientMessageId: 'first' }, 'key_reused', {}],
    [ana, 'message.send', { conversationId: archived, ...text }, 'conversation_archived', {}],
    [ana, 'message.send', { conversationId: closed, ...text }, 'conversation_closed', {}],
    [ana, 'message.send', { ...here, ...text, kind: 'shout' }, 'invalid_request', { field: 'kind' }],
    [ana, 'message.react', { messageId: old.id, emoji: '👍' }, 'conversation_archived', {}],
    [sam, 'message.react', { messageId: full.id, emoji: emojis[0] }, 'too_many_reactions', { limit: 20 }],
    [ana, 'message.edit', { messageId: gone.id, body: 'back' }, 'wrong_state', {}],
    [ana, 'message.note', { ...here, ...text }, 'forbidden', { required: 'agent' }],
    [bea, 'message.send', { ...here, ...text }, 'not_found', {}],
    [sam, 'conversation.take', { conversationId: taken }, 'already_taken', { assigneeId: sue.userId }],
    [sam, 'conversation.assign', { conversationId: archived, userId: sam.userId }, 'wrong_state', {}],
    [ana, 'message.send', { conversationId: granted.conversation.id, ...text }, 'grant_required', {}],
    [ana, 'conversation.list', { page: 'x' }, 'invalid_cursor', {}],
    [ana, 'receipt.markRead', { ...here, messageIds: [full.id, old.id] }, 'not_found', {}],
    [owner, 'user.update', { userId: owner.userId, role: 'admin' }, 'last_owner', {}],
    [owner, 'workspace.create', { slug: 'Not a slug', name: 'x' }, 'invalid_request', { field: 'slug' }],
    [
      sue,
      'conversation.create',
      { kind: 'direct', participantIds: [owner.userId] },
      'conversation_exists',
      { conversationId: direct.conversation.id },
    ],
  ]
  const before = await digest(server)
  for (const [who, name, input, code, beside] of refusals) {
    const error = { code, message: expect.any(String), retry: false, ...beside }
    const { body } = await who.try(name, input as never)
    expect({ name, error: body.error }).toEqual({ name, error })
    if (!operationOf(name).realtime) continue
    for (const transport of transports) {
      const wire = await openWire(transport, { ...who, hello: { feed: false } })
      expect({ name, ...(await wire.command(name, input)) }).toMatchObject({ name, ok: false, error })
      wire.close()
    }
  }
  expect(await digest(server)).toBe(before)
})
