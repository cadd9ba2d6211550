import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Actor } from '../src/chat/actor.ts'
import { getAttachment, openByName, sweepAttachments, uploadAttachment } from '../src/chat/attachments.ts'
import { createConversation } from '../src/chat/conversations.ts'
import { createGrant } from '../src/chat/grants.ts'
import { sendMessage } from '../src/chat/messages.ts'
import { type Person, startServer, type TestServer } from '../src/testing.ts'

let server: TestServer
let ana: Actor
let ben: Actor
let ada: Actor

const chat = () => server.running.parley.chat

beforeAll(async () => {
  server = await startServer()
  ana = actorOf(await server.person('contact', 'Ana'), 'contact')
  ben = actorOf(await server.person('contact', 'Ben'), 'contact')
  ada = actorOf(await server.person('admin', 'Ada'), 'admin')
}, 60_000)

afterAll(() => server[Symbol.asyncDispose]())

const actorOf = ({ userId, name }: Person, role: Actor['role']): Actor => ({
  workspaceId: server.workspaceId,
  userId,
  name,
  role,
  sessionId: null,
  inboxIds: [],
  visitorInboxId: null,
  verified: true,
  address: null,
})

const upload = (by: Actor, limit?: number) =>
  uploadAttachment(chat(), by, {
    conversationId: null,
    name: 'note.txt',
    bytes: Readable.from(['hello'], { objectMode: false }),
    ...(limit !== undefined && { limit }),
  })

const group = async (by: Actor, ...others: Actor[]) =>
  (
    await createConversation(
      chat(),
      by,
      { kind: 'group', participantIds: others.map((other) => other.userId) },
      { strangersWelcome: true },
    )
  ).conversation.id

const send = (by: Actor, conversationId: string, ...attachmentIds: string[]) =>
  sendMessage(chat(), by, { conversationId, clientMessageId: randomUUID(), body: 'look', attachmentIds })

test('a file without a conversation is its uploader’s alone, until a message takes it along', async () => {
  const { id } = await upload(ana)
  const conversationId = await group(ana, ben)
  await expect(getAttachment(chat(), ben, { attachmentId: id })).rejects.toMatchObject({ code: 'not_found' })
  await expect(getAttachment(chat(), ada, { attachmentId: id })).rejects.toMatchObject({ code: 'not_found' })
  await expect(send(ben, conversationId, id)).rejects.toMatchObject({ code: 'invalid_request' })
  const message = await send(ana, conversationId, id)
  expect(message.attachments.map((file) => file.id)).toEqual([id])
  expect(await getAttachment(chat(), ben, { attachmentId: id })).toMatchObject({ name: 'note.txt', size: 5 })
})

test('of many messages that name one file, in different conversations, one gets it', async () => {
  const { id } = await upload(ana)
  const conversations = await Promise.all(Array.from({ length: 6 }, () => group(ana, ben)))
  const sent = await Promise.allSettled(conversations.map((conversationId) => send(ana, conversationId, id)))
  expect(sent.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1)
})

test('a grant that does not let attach holds for a file that was uploaded beforehand', async () => {
  const { conversation } = await createConversation(chat(), ada, {
    kind: 'group',
    participantIds: [ana.userId, ben.userId],
    grantRequired: true,
  })
  const userIds: [string, string] = [ana.userId, ben.userId]
  await createGrant(chat(), ada, { userIds, scopes: ['read', 'write'] })
  const { id } = await upload(ana)
  await expect(send(ana, conversation.id, id)).rejects.toMatchObject({ code: 'grant_required' })
  await createGrant(chat(), ada, { userIds, scopes: ['attach'] })
  expect((await send(ana, conversation.id, id)).attachments).toHaveLength(1)
})

test('a door may accept less than the server does', async () => {
  await expect(upload(ana, 4)).rejects.toMatchObject({ code: 'too_large', details: { limit: 4 } })
})

test('a file that was sent nowhere within a day is swept, and one that was stays', async () => {
  const [forgotten, kept] = [await upload(ana), await upload(ana)]
  await send(ana, await group(ana, ben), kept.id)
  const { db } = chat()
  await db.updateTable('attachment').set({ created_at: '2020-01-01T00:00:00Z' }).execute()
  expect((await sweepAttachments({ ...chat(), blobs: chat().blobs }, 3_600_000)).unsent).toBeGreaterThan(0)
  await expect(openByName(chat(), server.workspaceId, forgotten.id)).rejects.toMatchObject({
    code: 'not_found',
  })
  const opened = await openByName(chat(), server.workspaceId, kept.id)
  opened.bytes.destroy()
  expect(opened.size).toBe(5)
})
