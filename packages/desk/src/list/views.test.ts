import { expect, test } from 'vitest'
import { viewOf } from './views.ts'

test('an address names one of four views or an inbox, known or not yet', () => {
  const id = '01a1fbca-5648-78fd-a215-fd0735c17ffc'
  expect(viewOf('mine', [])?.query).toEqual({ view: 'mine', status: 'active' })
  expect(viewOf(id, [])).toMatchObject({ name: 'Inbox', query: { inboxId: id, status: 'active' } })
  expect(viewOf('nonsense', [])).toBeNull()
})
