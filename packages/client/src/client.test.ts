import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { connect } from './client.ts'
import { FakeServer } from './fake-server.ts'
import { memoryStorage } from './storage.ts'
import type { Command, HeardFrame, Transport } from './transports/transport.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

/** ana, who looks at her conversation with sam. */
async function setting() {
  const server = new FakeServer()
  const id = server.open([
    { userId: 'ana', role: 'contact' },
    { userId: 'sam', role: 'agent' },
  ])
  server.send(id, 'sam', 'welcome')
  const commands: Command[] = []
  const plain = server.transport('ana')
  const websocket: Transport = (hello, wire, told) => {
    const link = plain(hello, wire, told)
    return {
      ...link,
      send: (frame) => {
        if (frame.type !== 'heartbeat') commands.push(frame as Command)
        link.send(frame)
      },
    }
  }
  const storage = memoryStorage()
  const open = () =>
    connect(
      {
        baseUrl: '',
        credentials: { accessToken: async () => 'ana' },
        transports: ['websocket'],
        fetch: server.fetch,
        storage,
      },
      { transports: { websocket, sse: websocket, poll: websocket } },
    )
  const parley = open()
  const settle = async (ms = 0) => {
    for (let n = 0; n < 20; n++) {
      while (server.turn()) await vi.advanceTimersByTimeAsync(0)
      await vi.advanceTimersByTimeAsync(0)
    }
    await vi.advanceTimersByTimeAsync(ms)
    while (server.turn()) await vi.advanceTimersByTimeAsync(0)
  }
  const conversation = parley.conversation(id)
  const stops = [conversation.subscribe(() => {}), parley.list.subscribe(() => {})]
  await settle(300)
  const asked = (type: string) =>
    commands.filter((one) => one.type === type).map(({ id: _, type: __, ...input }) => input)
  const close = () => {
    for (const stop of stops) stop()
    parley.close()
  }
  /** The conversation on a page that is opened instead. */
  const reload = async () => {
    close()
    const later = open()
    const conversation = later.conversation(id)
    stops.push(
      conversation.subscribe(() => {}),
      later.close,
    )
    await settle(300)
    return conversation
  }
  const statuses = () => conversation.get().messages.map((one) => one.status)
  return { server, id, parley, conversation, settle, asked, statuses, close, reload }
}

describe('a conversation on the screen', () => {
  test('a message is there at once, settles in place, and shows how far it got', async () => {
    const { server, id, conversation, settle, statuses, close } = await setting()
    const key = conversation.send({ body: 'hello' })
    const pending = conversation.get().messages.at(-1)
    expect(pending).toMatchObject({ key, id: null, seq: null, mine: true, body: 'hello' })
    await settle()
    expect(conversation.get().messages.at(-1)).toMatchObject({ key, seq: 5, mine: true, status: 'sent' })
    server.mark(id, 'sam', { delivered: 5 })
    await settle()
    expect(statuses()).toEqual(['sent', 'delivered'])
    server.mark(id, 'sam', { read: 5 })
    await settle()
    expect(statuses()).toEqual(['sent', 'read'])
    close()
  })

  test('a double click under one clientMessageId is one message, also after it was stored', async () => {
    const { server, conversation, settle, close } = await setting()
    const draft = { body: 'once', clientMessageId: 'click' }
    conversation.send(draft)
    conversation.send(draft)
    await settle()
    conversation.send(draft)
    await settle()
    expect(server.sends).toEqual(['click'])
    expect(conversation.get().messages.map((one) => one.body)).toEqual(['welcome', 'once'])
    close()
  })

  test('a refused message says why, and goes out when retried', async () => {
    const { server, id, conversation, settle, statuses, close } = await setting()
    server.update(id, { status: 'closed' })
    const key = conversation.send({ body: 'too late?' })
    await settle()
    expect(conversation.get().messages.at(-1)).toMatchObject({
      status: 'failed',
      error: { code: 'conversation_closed' },
    })
    server.update(id, { status: 'open' })
    conversation.retry(key)
    await settle()
    expect(statuses()).toEqual(['sent', 'sent'])
    close()
  })

  test('a refused message stays where it was written, also over a reload, and goes to the end when retried', async () => {
    const { server, id, conversation, settle, close, reload } = await setting()
    const bodies = (of = conversation) => of.get().messages.map((one) => one.body)
    server.update(id, { status: 'closed' })
    await settle()
    conversation.send({ body: 'too late?' })
    const key = conversation.send({ body: 'far too late?' })
    await settle()
    server.update(id, { status: 'open' })
    server.send(id, 'sam', 'still there?')
    await settle()
    const order = ['welcome', 'too late?', 'far too late?', 'still there?']
    expect(bodies()).toEqual(order)
    const again = await reload()
    expect(bodies(again)).toEqual(order)
    again.retry(key)
    expect(bodies(again)).toEqual(['welcome', 'too late?', 'still there?', 'far too late?'])
    await settle()
    close()
  })

  test('what the store cannot keep is taken out of a text, and nothing is not sent', async () => {
    const { conversation, settle, close } = await setting()
    conversation.send({ body: 'a\0b\ud800' })
    await settle()
    expect(conversation.get().messages.at(-1)?.body).toBe('ab\ufffd')
    expect(() => conversation.send({ body: '' })).toThrow('nothing')
    close()
  })

  test('a page without https sends as any other', async () => {
    vi.stubGlobal('crypto', { getRandomValues: crypto.getRandomValues.bind(crypto) })
    const { conversation, settle, statuses, close } = await setting()
    conversation.send({ body: 'hello' })
    await settle()
    expect(statuses().at(-1)).toBe('sent')
    close()
  })

  test('messages that do not change stay the same objects', async () => {
    const { conversation, settle, close } = await setting()
    const [before] = conversation.get().messages
    conversation.send({ body: 'hello' })
    await settle()
    expect(conversation.get().messages[0]).toBe(before)
    close()
  })

  test('the other one’s typing is shown, and ends with a message or after six seconds', async () => {
    const { server, id, conversation, settle, close } = await setting()
    const typing = () => {
      for (const line of server.lines) {
        line.sent++
        line.out.push({
          type: 'typing.changed',
          conversationId: id,
          userId: 'sam',
          name: 'Sam',
          typing: true,
        })
      }
    }
    typing()
    await settle()
    expect(conversation.get().typing).toEqual([{ userId: 'sam', name: 'Sam' }])
    await settle(6_100)
    expect(conversation.get().typing).toEqual([])
    typing()
    server.send(id, 'sam', 'done')
    await settle()
    expect(conversation.get().typing).toEqual([])
    close()
  })

  test('my typing is told every three seconds at most, and stops by itself', async () => {
    const { conversation, settle, asked, close } = await setting()
    for (let n = 0; n < 8; n++) {
      conversation.setTyping(true)
      await settle(500)
    }
    expect(asked('typing.set').map((one) => one.typing)).toEqual([true, true])
    await settle(5_100)
    expect(asked('typing.set').map((one) => one.typing)).toEqual([true, true, false])
    close()
  })
})

describe('receipts', () => {
  test('what arrives is told as delivered, gathered, the highest only', async () => {
    const { server, id, settle, asked, close } = await setting()
    expect(asked('receipt.move')).toEqual([{ conversationId: id, delivered: 4, read: 0 }])
    for (let n = 0; n < 5; n++) server.send(id, 'sam', `said ${n}`)
    await settle(300)
    expect(asked('receipt.move').slice(1)).toEqual([{ conversationId: id, delivered: 9, read: 0 }])
    close()
  })

  test('reading shows at once in the list and is told once', async () => {
    const { parley, id, conversation, settle, asked, close } = await setting()
    expect(parley.list.get().unread).toBe(1)
    conversation.markRead()
    conversation.markRead()
    expect(parley.list.get().unread).toBe(0)
    await settle(300)
    expect(asked('receipt.move').at(-1)).toEqual({ conversationId: id, delivered: 4, read: 4 })
    expect(asked('receipt.move')).toHaveLength(2)
    close()
  })
})

describe('a read mark that is refused', () => {
  test('is not shown any longer, and is told again', async () => {
    const { server, parley, id, conversation, settle, asked, close } = await setting()
    server.refuses.add('receipt.move')
    conversation.markRead()
    await settle(300)
    expect(conversation.get()).toMatchObject({ phase: 'ready', receipts: { ana: { read: 0 } } })
    expect(parley.list.get().unread).toBe(1)
    server.refuses.clear()
    conversation.markRead()
    await settle(300)
    expect(asked('receipt.move').at(-1)).toEqual({ conversationId: id, delivered: 4, read: 4 })
    expect(server.kept.get(id)?.receipts.get('ana')?.read).toBe(4)
    close()
  })

  test('is gone when somebody who was put out comes back', async () => {
    const { server, id, conversation, settle, close } = await setting()
    server.refuses.add('receipt.move').add('message.list')
    conversation.markRead()
    await settle(300)
    expect(conversation.get().phase).toBe('lost')
    server.refuses.clear()
    server.show(id)
    await settle(300)
    expect(conversation.get()).toMatchObject({ phase: 'ready', receipts: { ana: { read: 0 } } })
    close()
  })
})

describe('a connection that waits', () => {
  test('[K4] is made at once when the server answers over REST', async () => {
    const { server, parley, id, settle, close } = await setting()
    vi.spyOn(Math, 'random').mockReturnValue(1)
    server.down = true
    server.cut()
    await settle(10_000)
    expect(parley.state.get().state).toBe('waiting')
    server.down = false
    await parley.call('conversation.get', { conversationId: id })
    await settle()
    expect(parley.state.get().state).toBe('live')
    close()
  })
})

describe('what a newer server says', () => {
  test('[B7] frames and fields that the client does not know change nothing, and entries only its position', async () => {
    const s = await setting()
    const [line] = s.server.lines
    const told: string[] = []
    s.parley.onEvent((event) => told.push(event.type))
    const before = { talk: s.conversation.get(), list: s.parley.list.get() }
    const news = { conversationId: s.id, at: '2026-01-01T00:00:00.000Z', actorId: null, colour: 'blue' }
    const tell = async (frame: object) => {
      if (!line) throw new Error('Nobody is connected')
      line.sent++
      line.out.push(frame as HeardFrame)
      await s.settle(300)
    }
    await tell({ type: 'weather.changed', wind: 3 })
    await tell({ type: 'pointer.moved', ...news })
    const { seq } = before.talk
    expect(s.conversation.get()).toMatchObject({ seq, messages: before.talk.messages, caughtUp: true })
    expect(s.parley.list.get().rows).toEqual(before.list.rows)
    await tell({ type: 'message.pinned', ...news, seq: seq + 1 })
    expect(s.conversation.get()).toMatchObject({ seq: seq + 1, messages: before.talk.messages })
    expect(told).toEqual(['weather.changed', 'pointer.moved', 'message.pinned'])
    s.server.beat()
    await s.settle(300)
    expect(s.parley.state.get().state).toBe('live')
    expect(s.asked('conversation.get')).toEqual([])
    s.close()
  })
})

describe('the lists', () => {
  test('a part of the list holds what belongs to it, and changes with it', async () => {
    const { server, parley, id, settle, close } = await setting()
    const active = parley.lists({ status: 'active' })
    expect(parley.lists({ status: 'active' })).toBe(active)
    const stop = active.subscribe(() => {})
    await settle()
    expect(active.get().rows).toHaveLength(1)
    server.update(id, { status: 'closed' })
    await settle()
    expect(active.get().rows).toEqual([])
    expect(parley.list.get().rows).toHaveLength(1)
    stop()
    close()
  })

  test('a conversation that begins comes to the top', async () => {
    const { server, parley, settle, close } = await setting()
    const id = server.open([{ userId: 'ana', role: 'contact' }])
    await settle(100)
    expect(parley.list.get().rows[0]?.conversation.id).toBe(id)
    close()
  })
})
