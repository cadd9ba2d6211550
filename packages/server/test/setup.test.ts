import { expect, test } from 'vitest'
import { ensureFirstStart } from '../src/chat/setup.ts'
import { startServer } from '../src/testing.ts'

const claim = (setupToken: string, email = 'first@example.com') => ({
  body: { setupToken, workspaceName: 'Ours', name: 'First', email, password: 'correct horse' },
})

test('[A13] the first owner is made once, with the newest token only, and not by being first', async () => {
  await using server = await startServer()
  const { chat } = server.running.parley
  const { setupToken: old } = await ensureFirstStart(chat)
  const { setupToken } = await ensureFirstStart(chat)
  if (!old || !setupToken) throw new Error('There should be a token while nobody owns the workspace')
  expect((await server.rest('POST', '/api/v1/setup', claim('guess'))).status).toBe(403)
  expect((await server.rest('POST', '/api/v1/setup', claim(old))).status).toBe(403)
  const first = { name: 'First', email: 'eve@example.com', password: 'correct horse' }
  for (const role of ['owner', 'admin', 'agent'] as const) {
    const { status } = await server.rest('POST', '/api/v1/auth/register', { body: { ...first, role } })
    expect([role, status]).toEqual([role, 403])
  }
  const { body } = await server.rest('POST', '/api/v1/auth/register', { body: first })
  expect(body.user.role).toBe('contact')
  const stored = await chat.db.selectFrom('server_meta').selectAll().execute()
  expect(JSON.stringify(stored)).not.toContain(setupToken)

  const answers = await Promise.all(
    [1, 2, 3, 4].map((n) => server.rest('POST', '/api/v1/setup', claim(setupToken, `first${n}@example.com`))),
  )
  expect(answers.map((answer) => answer.status).sort()).toEqual([201, 409, 409, 409])
  const made = answers.find((answer) => answer.status === 201)
  expect(made?.body.user.role).toBe('owner')
  expect(made?.body.workspace.name).toBe('Ours')
  const late = await server.rest('POST', '/api/v1/setup', claim(setupToken, 'late@example.com'))
  expect([late.status, late.body.error.code]).toEqual([409, 'setup_done'])
  expect((await ensureFirstStart(chat)).setupToken).toBeNull()
})
