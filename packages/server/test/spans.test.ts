import { expect, test } from 'vitest'
import { startServer, type TestServer } from '../src/testing.ts'

/** Rows that an index would hide: their spans are not those of what they stand for. */
async function astray({ running }: TestServer): Promise<object[]> {
  const { pool } = running.parley.chat.store
  const { rows } = await pool.query(`
    select 'conversation' as of, id::text from conversation
    where changed_span <> span_of(changed_xid) or abs(extract(epoch from updated_span - span_of(updated_at))) > 10
    union all
    select 'receipt', conversation_id::text from receipt where changed_span <> span_of(changed_xid)`)
  return rows
}

test('whatever changes a conversation or a receipt moves the spans by which lists and sweeps find it', async () => {
  await using server = await startServer()
  const ana = await server.person('contact', 'ana')
  const sam = await server.person('agent', 'sam')
  const { conversation } = await ana.call('conversation.create', { kind: 'support' })
  const conversationId = conversation.id
  // Spans hold 1,024 transactions: without as many in between, a span that was forgotten would still be right.
  const nextSpan = () =>
    server.running.parley.chat.store.pool.query(
      'do $$ begin for i in 1..1100 loop perform pg_current_xact_id(); commit; end loop; end $$',
    )
  const changes = [
    () => ana.send(conversationId, 'hello'),
    () => sam.call('conversation.take', { conversationId }),
    () => sam.call('message.note', { conversationId, clientMessageId: 'n', body: 'be kind' }),
    () => ana.call('receipt.move', { conversationId, delivered: 2, read: 2 }),
    () => ana.call('receipt.markAllRead', { conversationId }),
    () => sam.call('conversation.close', { conversationId }),
    () => sam.call('conversation.archive', { conversationId }),
  ]
  for (const change of changes) {
    await nextSpan()
    await change()
    expect(await astray(server)).toEqual([])
  }
})

test('a list is paged once through, the newest first, whether or not its conversations share a span', async () => {
  await using server = await startServer()
  const ana = await server.person('contact', 'ana')
  const made: string[] = []
  for (let i = 0; i < 6; i++) {
    const { conversation } = await ana.call('conversation.create', { kind: 'support' })
    made.unshift(conversation.id)
  }
  // Three spans of two.
  await server.running.parley.chat.store.pool.query(
    `update conversation c set updated_at = t.at, updated_span = span_of(t.at)
     from (select id, now() - (7 * (row_number() over (order by updated_at desc)) || ' seconds')::interval as at
       from conversation where id = any ($1)) t where c.id = t.id`,
    [made],
  )
  const listed: string[] = []
  let page: string | undefined
  do {
    const answer = await ana.call('conversation.list', { limit: 2, ...(page && { page }) })
    listed.push(...answer.conversations.map(({ conversation }) => conversation.id))
    page = answer.nextPage ?? undefined
  } while (page)
  expect(listed).toEqual(made)
})
