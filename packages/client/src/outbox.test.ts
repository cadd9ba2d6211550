import type { Message } from '@parley/protocol'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ParleyStorage } from './api.ts'
import { ParleyError } from './error.ts'
import { type Entry, outbox } from './outbox.ts'
import { memoryStorage } from './storage.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

type Answer = (entry: Entry) => Promise<Message>

function setting(answer: Answer, storage: ParleyStorage = memoryStorage(), me: string | null = 'ana') {
  const sent: string[] = []
  const settled: string[] = []
  const box = outbox({
    storage,
    namespace: 'test',
    me: () => me,
    send: (entry) => {
      sent.push(entry.clientMessageId)
      return answer(entry)
    },
    changed: () => {},
    settled: (message) => void settled.push(message.clientMessageId ?? ''),
  })
  const write = (clientMessageId: string, body = clientMessageId) =>
    box.add({
      clientMessageId,
      conversationId: 'c',
      name: 'message.send',
      after: 0,
      draft: { body, attachments: [] },
    })
  const states = () => box.of('c').map((one) => `${one.clientMessageId} ${one.state}`)
  return { box, sent, settled, write, states, storage }
}

const stored: Answer = async (entry) =>
  ({ clientMessageId: entry.clientMessageId, conversationId: 'c' }) as Message
const away: Answer = async () => {
  throw new ParleyError('network', 'Away.')
}
const soon = () => vi.advanceTimersByTimeAsync(0)

describe('the outbox', () => {
  test('[O1] an entry survives a reload, and leaves the storage when it is stored', async () => {
    const before = setting(away)
    before.write('one')
    await soon()
    before.box.close()
    const after = setting(stored, before.storage)
    expect(after.states()).toEqual(['one queued'])
    after.box.kick()
    await soon()
    expect(after.settled).toEqual(['one'])
    expect(after.states()).toEqual([])
    expect(after.storage.keys('test:')).toEqual([])
  })

  test('[O2] entries of a conversation go out one by one in the order written', async () => {
    const open: (() => void)[] = []
    const s = setting((entry) => new Promise((resolve) => open.push(() => stored(entry).then(resolve))))
    for (const id of ['one', 'two', 'three']) s.write(id)
    await soon()
    expect(s.states()).toEqual(['one sending', 'two queued', 'three queued'])
    while (open.length) {
      open.shift()?.()
      await soon()
    }
    expect(s.sent).toEqual(['one', 'two', 'three'])
  })

  test('[O2] what was written before a reload goes out first, though the clock was set back', async () => {
    vi.setSystemTime('2026-01-02T12:00:00Z')
    const before = setting(away)
    before.write('one')
    await soon()
    before.box.close()
    vi.setSystemTime('2026-01-02T11:00:00Z')
    const after = setting(stored, before.storage)
    after.write('two')
    await soon()
    expect(after.sent).toEqual(['one', 'two'])
  })

  test('[O2] a refused entry is shown with its reason and stepped over; retry sends it under the same name', async () => {
    let closed = true
    const s = setting(async (entry) => {
      if (closed && entry.clientMessageId === 'one') {
        throw new ParleyError('conversation_closed', 'The conversation is closed.', false, 409)
      }
      return stored(entry)
    })
    s.write('one')
    s.write('two')
    await soon()
    expect(s.states()).toEqual(['one failed'])
    expect(s.box.of('c')[0]?.error).toMatchObject({
      code: 'conversation_closed',
      message: 'The conversation is closed.',
    })
    const reloaded = setting(stored, s.storage)
    expect(reloaded.box.of('c')[0]?.error?.message).toBe('The conversation is closed.')
    closed = false
    s.box.retry('one')
    await soon()
    expect(s.sent).toEqual(['one', 'two', 'one'])
    expect(s.states()).toEqual([])
  })

  test('[O3] no answer means again with the same name, in order, until it works', async () => {
    let tries = 0
    const s = setting((entry) => (++tries < 4 ? away(entry) : stored(entry)))
    s.write('one')
    s.write('two')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(s.sent).toEqual(['one', 'one', 'one', 'one', 'two'])
  })

  test('[O3] a told delay is kept', async () => {
    const s = setting(async () => {
      throw new ParleyError('rate_limited', 'Wait.', true, 429, { retryAfter: 30 })
    })
    s.write('one')
    await vi.advanceTimersByTimeAsync(29_000)
    expect(s.sent).toHaveLength(1)
    s.box.close()
  })

  test('[O4] what somebody else wrote waits for them', async () => {
    const ana = setting(away)
    ana.write('hers')
    await soon()
    ana.box.close()
    const kim = setting(stored, ana.storage, 'kim')
    kim.box.kick()
    await soon()
    expect(kim.sent).toEqual([])
    expect(kim.states()).toEqual([])
    expect(ana.storage.keys('test:')).toHaveLength(1)
  })

  test('[O5] a refused token does not fail the message', async () => {
    const s = setting(async () => {
      throw new ParleyError('unauthenticated', 'Sign in.', false, 401)
    })
    s.write('one')
    await soon()
    expect(s.states()).toEqual(['one queued'])
    s.box.close()
  })

  test('[O1] an event that comes before the answer settles it', async () => {
    let answer = () => {}
    const s = setting((entry) => new Promise((resolve) => (answer = () => void stored(entry).then(resolve))))
    s.write('one')
    await soon()
    s.box.remove('one')
    expect(s.states()).toEqual([])
    answer()
    await soon()
    expect(s.states()).toEqual([])
    expect(s.sent).toEqual(['one'])
  })

  test('[O6] another tab shows the entry, and does not send it again', async () => {
    vi.useRealTimers()
    const storage = { ...memoryStorage(), shared: true }
    let answer = () => {}
    const first = setting(
      (entry) => new Promise((resolve) => (answer = () => void stored(entry).then(resolve))),
      storage,
    )
    const second = setting(stored, storage)
    first.write('one')
    await vi.waitFor(() => expect(second.states()).toEqual(['one queued']))
    answer()
    await vi.waitFor(() => expect(second.settled).toEqual(['one']))
    expect(second.states()).toEqual([])
    expect([...first.sent, ...second.sent]).toEqual(['one'])
    first.box.close()
    second.box.close()
  })

  test('[O1] what is closed while it sends ends quietly, and keeps nothing that was stored', async () => {
    const storage = { ...memoryStorage(), shared: true }
    const ends: (() => void)[] = []
    const s = setting(
      (entry) =>
        new Promise((resolve, reject) => {
          if (entry.clientMessageId === 'one') ends.push(() => void stored(entry).then(resolve))
          else ends.push(() => reject(new ParleyError('network', 'Away.')))
        }),
      storage,
    )
    s.write('one')
    s.box.add({
      clientMessageId: 'two',
      conversationId: 'd',
      name: 'message.send',
      after: 0,
      draft: { attachments: [] },
    })
    await soon()
    s.box.close()
    for (const end of ends) end()
    await soon()
    expect(s.settled).toEqual(['one'])
    expect(storage.keys('test:')).toEqual(['test:outbox:two'])
  })
})
