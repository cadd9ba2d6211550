import { LogEvent } from '@parley/protocol'
import { sql } from 'kysely'
import { Compile } from 'typebox/compile'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sweepAttachments } from '../src/chat/attachments.ts'
import { readLog } from '../src/chat/log.ts'
import { type Person, startServer, type TestServer } from '../src/testing.ts'
import { upload } from './world.ts'

let server: TestServer
let ana: Person
let sam: Person

beforeAll(async () => {
  server = await startServer()
  ana = await server.person('contact', 'ana')
  sam = await server.person('agent', 'sam')
})
afterAll(() => server[Symbol.asyncDispose]())

/** A conversation of ana's with one of everything that somebody can write into it. */
async function written() {
  const { conversation } = await ana.call('conversation.create', {
    kind: 'support',
    inboxId: server.inboxId,
    subject: 'secret first name',
  })
  const conversationId = conversation.id
  await ana.call('conversation.update', {
    conversationId,
    subject: 'secret second name',
    metadata: { order: 'secret number' },
  })
  const attachmentId = await upload(server, ana, conversationId)
  const { id: messageId } = await ana.call('message.send', {
    conversationId,
    clientMessageId: crypto.randomUUID(),
    body: 'secret text',
    attachmentIds: [attachmentId],
    metadata: { page: 'secret page' },
  })
  await ana.call('message.edit', { messageId, body: 'secret other text' })
  await sam.call('message.react', { messageId, emoji: '🤫' })
  await sam.call('conversation.take', { conversationId })
  const { url } = await sam.call('attachment.get', { attachmentId })
  return { conversationId, messageId, attachmentId, url }
}

/** Everything that the store holds about somebody's conversation, as text. */
async function storedOf(conversationId: string): Promise<string> {
  const parts: string[] = []
  for (const table of ['message', 'message_revision', 'event', 'reaction', 'attachment']) {
    const { rows } = await sql<{ text: string }>`select t::text as text from ${sql.table(table)} t
      where conversation_id = ${conversationId}`.execute(server.running.parley.chat.db)
    parts.push(...rows.map(({ text }) => text))
  }
  const { rows } = await sql<{ text: string }>`select t::text as text from conversation t
    where id = ${conversationId}`.execute(server.running.parley.chat.db)
  return [...parts, ...rows.map(({ text }) => text)].join('\n')
}

async function bytesOf(attachmentId: string): Promise<boolean> {
  const blob = await server.running.parley.chat.blobs.get(attachmentId)
  blob?.bytes.destroy()
  return blob !== null
}

test('[L10] deleting a conversation leaves nothing behind that somebody wrote', async () => {
  const { conversationId, attachmentId, url } = await written()
  expect(await storedOf(conversationId)).toMatch(/secret.*🤫.*notes\.txt/s)
  await sam.call('conversation.delete', { conversationId })
  expect(await storedOf(conversationId)).not.toMatch(/secret|🤫|notes\.txt/)
  expect((await server.rest('GET', url)).status).toBe(404)
  await sweepAttachments(server.running.parley.chat, 0)
  expect(await bytesOf(attachmentId)).toBe(false)
  expect((await server.rest('GET', url)).status).toBe(404)
})

test('[L10] the log of a deleted conversation is still whole, and told as the protocol says', async () => {
  const { conversationId } = await written()
  await sam.call('conversation.delete', { conversationId })
  const { chat } = server.running.parley
  const { entries, lastSeq } = await readLog(
    chat.db,
    { workspaceId: server.workspaceId, id: conversationId },
    0,
    200,
  )
  expect(entries.map(({ event }) => event.seq)).toEqual(Array.from({ length: lastSeq }, (_, n) => n + 1))
  const form = Compile(LogEvent)
  for (const { event } of entries) {
    const told = JSON.parse(JSON.stringify(event))
    expect({ told, faults: form.Errors(told) }).toEqual({ told, faults: [] })
  }
  expect(entries.flatMap(({ event }) => (event.type === 'message.reacted' ? [event.removed] : []))).toEqual([
    true,
  ])
  expect(entries.at(-1)?.event.type).toBe('conversation.deleted')
})

test('[L9] the files of a retracted message go with it, those of others stay', async () => {
  const { conversationId, messageId, attachmentId, url } = await written()
  const other = await written()
  const repeated = { conversationId, clientMessageId: 'again', body: 'secret', attachmentIds: [] as string[] }
  repeated.attachmentIds = [await upload(server, ana, conversationId)]
  const sent = await ana.call('message.send', repeated)
  await ana.call('message.retract', { messageId })
  await ana.call('message.retract', { messageId: sent.id })
  expect((await server.rest('GET', url)).status).toBe(404)
  expect(await storedOf(conversationId)).not.toContain('notes.txt')
  expect((await ana.call('message.send', repeated)).id).toBe(sent.id)
  await sweepAttachments(server.running.parley.chat, 0)
  expect(await bytesOf(attachmentId)).toBe(false)
  expect(await bytesOf(other.attachmentId)).toBe(true)
  expect((await server.rest('GET', other.url)).status).toBe(200)
})
