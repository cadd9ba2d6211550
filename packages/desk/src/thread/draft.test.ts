import { memoryStorage } from '@parley/client'
import { afterEach, expect, test, vi } from 'vitest'
import { draftShelf, emptyDraft, takenBack } from './draft.ts'

afterEach(() => void vi.unstubAllGlobals())

test('a draft outlives the page, for its writer and its conversation', () => {
  const storage = memoryStorage()
  const draft = { ...emptyDraft(), body: 'Hello M' }
  draftShelf(storage, 'desk', 'ana').keep('c1', draft)
  expect(draftShelf(storage, 'desk', 'ana').read('c1')).toEqual(draft)
  expect(draftShelf(storage, 'desk', 'ana').read('c2').body).toBe('')
  expect(draftShelf(storage, 'desk', 'sam').read('c1').body).toBe('')
})

test('an emptied draft leaves nothing behind, and a spoilt one is an empty one', () => {
  const storage = memoryStorage()
  const shelf = draftShelf(storage, 'desk', 'ana')
  shelf.keep('c1', { ...emptyDraft(), body: 'x' })
  shelf.keep('c1', emptyDraft())
  expect(storage.keys('desk:')).toEqual([])
  for (const spoilt of ['{', 'null', '{"body":1}', '[]']) {
    storage.set('desk:draft:ana:c1', spoilt)
    expect(shelf.read('c1').body).toBe('')
  }
})

test('each draft is a message of its own', () => {
  expect(emptyDraft().clientMessageId).not.toBe(emptyDraft().clientMessageId)
})

test('a draft begins on a page without https, too', () => {
  vi.stubGlobal('crypto', { getRandomValues: crypto.getRandomValues.bind(crypto) })
  expect(emptyDraft().clientMessageId).not.toBe('')
})

test('a message that is taken back stands above what is written, and a note stays a note', () => {
  type Refused = Parameters<typeof takenBack>[1]
  const reply: Refused = { body: 'Too long', attachments: [], visibility: 'everyone' }
  const note: Refused = { ...reply, visibility: 'agents' }
  const empty = emptyDraft()
  expect(takenBack(empty, reply)).toEqual({ ...empty, body: 'Too long' })
  expect(takenBack(emptyDraft(true), reply).isNote).toBe(false)
  expect(takenBack(empty, note).isNote).toBe(true)
  const written = { ...empty, body: 'And then' }
  expect(takenBack(written, reply)).toMatchObject({ body: 'Too long\n\nAnd then', isNote: false })
  expect(takenBack(written, note).isNote).toBe(true)
  expect(takenBack({ ...written, isNote: true }, reply).isNote).toBe(true)
})
