import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { expect } from 'vitest'
import type { Answer, Person, TestServer } from '../src/testing.ts'
import type { Known } from './mutate.ts'

/** Where people can be made: a server in this process, or one of its own (`child.ts`). */
export type Host = Pick<TestServer, 'url' | 'rest' | 'person' | 'inboxId'>
export type World = { ana: Person; sam: Person; owner: Person; known: Known; conversationId: string }

/** ana asks, sam answers, and there is one of everything that has an id; all of it theirs. */
export async function makeWorld(host: Host): Promise<World> {
  const owner = await host.person('owner', 'olga')
  const sam = await host.person('agent', 'sam')
  const ana = await host.person('contact', 'ana')
  const { conversation } = await ana.call('conversation.create', { kind: 'support', inboxId: host.inboxId })
  const conversationId = conversation.id
  const attachmentId = await upload(host, ana, conversationId)
  const message = await ana.call('message.send', {
    conversationId,
    clientMessageId: 'first',
    body: 'the first line',
    attachmentIds: [attachmentId],
  })
  await sam.send(conversationId, 'an answer')
  const { invitation } = await owner.call('invitation.create', { role: 'agent' })
  const { apiKey } = await owner.call('apiKey.create', { name: 'A program', role: 'agent' })
  const identityKey = await owner.call('identityKey.create', {
    kind: 'hs256',
    secret: randomBytes(32).toString('hex'),
  })
  const grant = await owner.call('grant.create', { userIds: [ana.userId, sam.userId] })
  const inbox = await owner.call('inbox.get', { inboxId: host.inboxId })
  return {
    ...{ ana, sam, owner, conversationId },
    known: {
      conversationId,
      messageId: message.id,
      attachmentId,
      invitationId: invitation.id,
      apiKeyId: apiKey.id,
      identityKeyId: identityKey.id,
      grantId: grant.id,
      inboxId: host.inboxId,
      widgetKey: inbox.widgetKey,
      userId: ana.userId,
      contactId: ana.userId,
      userIds: [ana.userId, sam.userId],
      participantIds: [ana.userId],
      messageIds: [message.id],
      replyToId: message.id,
      attachmentIds: [attachmentId],
      emoji: '👍',
      after: 0,
      ...{ page: undefined, before: undefined, workspace: undefined, startsAt: undefined },
    },
  }
}

/** Uploads a little text file and gives its id. */
export async function upload(
  host: Pick<Host, 'url'>,
  person: Person,
  conversationId: string,
): Promise<string> {
  const form = new FormData()
  form.append('file', new Blob(['some bytes']), 'notes.txt')
  const answer = await fetch(`${host.url}/api/v1/conversations/${conversationId}/attachments`, {
    method: 'POST',
    headers: { authorization: `Bearer ${person.token}` },
    body: form,
  })
  const { id } = (await answer.json()) as { id: string }
  return id
}

/** Holds an answer to be a refusal as documented: its status, the shape of errors, and nothing of our insides. */
export function expectRefusal(answer: Answer, status: number, code?: string, label = ''): void {
  const { error } = answer.body as { error?: { code: string; message: string; retry: boolean } }
  expect({ label, status: answer.status, code: error?.code }).toEqual({
    label,
    status,
    code: code ?? error?.code,
  })
  expectErrorShape(error, label)
}

export function expectErrorShape(error: unknown, label = ''): void {
  expect(error, label).toEqual(
    expect.objectContaining({
      code: expect.any(String),
      message: expect.any(String),
      retry: expect.any(Boolean),
    }),
  )
  expect(JSON.stringify(error), label).not.toMatch(insides)
}

/** Stacks, queries, tables, paths of the machine. */
export const insides =
  /\bat \w+.*:\d+:\d+|node_modules|\.ts\b|\/work\/|\/tmp\/|\bselect \w|insert into|pg_|syntax error|relation "/i

/** Everything the store holds, as one text: the same before and after means that nothing was stored. */
export async function digest(server: TestServer): Promise<string> {
  const { db } = server.running.parley.chat
  const { rows: tables } = await sql<{
    name: string
  }>`select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE' order by 1`.execute(db)
  const parts: string[] = []
  for (const { name } of tables) {
    const { rows } = await sql<{ digest: string }>`select count(*)::text || ' ' ||
      md5(coalesce(string_agg(t::text, '|' order by t::text), '')) as digest from ${sql.table(name)} t`.execute(
      db,
    )
    parts.push(`${name} ${rows[0]?.digest}`)
  }
  return parts.join('\n')
}

/** Transactions of other databases of the cluster hold the horizon back; until it has passed a row, cursors repeat that. */
export async function untilPassed(
  server: TestServer,
  table: 'conversation' | 'person',
  id: string,
): Promise<void> {
  const look = async () => {
    const { rows } = await sql<{ passed: boolean }>`
      select pg_snapshot_xmin(pg_current_snapshot()) > changed_xid as passed from ${sql.table(table)}
      where id = ${id}`.execute(server.running.parley.chat.db)
    return rows[0]?.passed
  }
  await expect.poll(look, { timeout: 20_000 }).toBe(true)
}

/** A message from one to the other and one back, over sockets opened for it, each heard within a second. */
export async function expectHealthy(world: World): Promise<void> {
  const [ana, sam] = await Promise.all([world.ana.connect(), world.sam.connect()])
  for (const [from, to] of [
    [ana, sam],
    [sam, ana],
  ] as const) {
    const body = `healthy ${crypto.randomUUID()}`
    const { conversationId } = world
    const reply = from.command('message.send', { conversationId, clientMessageId: body.slice(8), body })
    await to.until((frame) => frame.type === 'message.created' && frame.message.body === body, 1_000)
    expect((await reply).ok).toBe(true)
  }
  ana.close()
  sam.close()
}
