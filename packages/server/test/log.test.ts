import { expect, test } from 'vitest'
import { startChild } from './child.ts'

test('[E5] at the finest level an upload is logged without the headers it came with', async () => {
  await using server = await startChild({ env: { LOG_LEVEL: 'trace' } })
  const ana = await server.person('contact', 'ana')
  const { conversation } = await ana.call('conversation.create', {
    kind: 'support',
    inboxId: server.inboxId,
  })
  const form = new FormData()
  form.append('file', new Blob(['some bytes']), 'notes.txt')
  const answer = await fetch(`${server.url}/api/v1/conversations/${conversation.id}/attachments`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ana.token}`, cookie: 'session=crumbs' },
    body: form,
  })
  expect(answer.status).toBe(201)
  await expect.poll(() => server.log.filter((line) => line.includes('busboy'))).toHaveLength(1)
  expect(server.log.map((line) => JSON.parse(line).level)).toContain(10)
  const written = server.log.join('\n')
  expect(written).not.toContain(ana.token)
  expect(written).not.toContain('crumbs')
}, 60_000)
