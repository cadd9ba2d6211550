import { setTimeout as wait } from 'node:timers/promises'
import type { ConversationSummary, ServerFrame } from '@parley/protocol'
import { describe, expect, test } from 'vitest'
import type { Announcement } from '../src/chat/chat.ts'
import { openSession } from '../src/chat/sessions.ts'
import type { Fanout } from '../src/realtime/fanout.ts'
import { type Person, startServer, type TestServer } from '../src/testing.ts'
import { isLogged } from './stage.ts'
import { openPoll } from './streams.ts'
import { openWire, transports } from './wires.ts'
import { untilPassed, upload } from './world.ts'

/** ana asks, sam answers; both are in one conversation of the first inbox. */
async function cast(server: TestServer) {
  const ana = await server.person('contact', 'ana')
  const sam = await server.person('agent', 'sam')
  const { conversation } = await ana.call('conversation.create', { kind: 'support' })
  return { ana, sam, id: conversation.id }
}

/** ana and bea are in a group that the owner made. */
async function group(server: TestServer) {
  const owner = await server.person('owner')
  const [ana, bea] = [await server.person('contact', 'ana'), await server.person('contact', 'bea')]
  const { conversation } = await owner.call('conversation.create', {
    kind: 'group',
    participantIds: [ana.userId, bea.userId],
  })
  return { owner, ana, bea, id: conversation.id }
}

/** Somebody signs in once more; with an inbox, as a visitor of its widget. */
async function anotherSession({ running }: TestServer, { userId }: Person, inboxId?: string) {
  const { chat } = running.parley
  const row = await chat.db
    .selectFrom('person')
    .selectAll()
    .where('id', '=', userId)
    .executeTakeFirstOrThrow()
  return (await openSession(chat, chat.db, row, { inboxId: inboxId ?? null })).accessToken
}

describe('a conversation heard live', () => {
  test('[L1] both sides hear every entry once, in order, and the contact sees a hole where a note stands', async () => {
    await using server = await startServer()
    const { ana, sam, id } = await cast(server)
    const anaHears = await ana.connect({ follow: [{ conversationId: id, after: 0 }] })
    const samHears = await sam.connect({ follow: [{ conversationId: id, after: 0 }] })
    // Until then an entry may also come by the feed, before what stands before it.
    for (const hears of [anaHears, samHears]) await hears.until((frame) => frame.type === 'caughtup')
    await ana.send(id, 'hello')
    await sam.send(id, 'good morning')
    await sam.call('message.note', { conversationId: id, clientMessageId: 'n', body: 'be kind' })
    const last = await sam.send(id, 'how can I help?')
    await anaHears.until((frame) => frame.type === 'message.created' && frame.seq === last.seq)
    await samHears.until((frame) => frame.type === 'message.created' && frame.seq === last.seq)
    expect(samHears.entries(id).map((entry) => entry.seq)).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect(anaHears.entries(id).map((entry) => entry.seq)).toEqual([1, 2, 3, 4, 5, 7])
    expect(JSON.stringify(anaHears.heard)).not.toContain('be kind')
  })

  test('[A6] somebody of the team who is the contact of a conversation hears, sees and counts no notes of it', async () => {
    await using server = await startServer()
    const { ana: bea, sam, id } = await cast(server)
    const owner = await server.person('owner')
    await owner.call('user.update', { userId: bea.userId, role: 'agent' })
    const note = (body: string) =>
      sam.call('message.note', { conversationId: id, clientMessageId: body, body })
    const beaHears = await bea.connect()
    await note('she is one of us')
    const { seq } = await sam.send(id, 'good morning')
    await beaHears.until((frame) => frame.type === 'message.created' && frame.seq === seq)
    await note('be kind')
    const { conversations } = await bea.call('conversation.list', {})
    expect(conversations).toMatchObject([{ unread: 1, lastMessage: { body: 'good morning' } }])
    expect(await bea.call('receipt.markAllRead', { conversationId: id })).toMatchObject({ count: 1 })
    expect(JSON.stringify([beaHears.heard, conversations])).not.toMatch(/one of us|be kind/)
  })

  test('[R10] who comes back with a position is told everything after it, once and in order, then lives on', async () => {
    await using server = await startServer()
    const { ana, sam, id } = await cast(server)
    const first = await ana.connect({ follow: [{ conversationId: id, after: 0 }] })
    const { seq } = await sam.send(id, 'are you there?')
    await first.until((frame) => frame.type === 'message.created')
    first.close()
    await Promise.all(Array.from({ length: 450 }, (_, i) => sam.send(id, `missed ${i}`)))
    const again = await ana.connect({ follow: [{ conversationId: id, after: seq }] })
    const caughtUp = await again.until<{ type: 'caughtup'; seq: number; conversationId: string }>(
      (frame) => frame.type === 'caughtup',
    )
    const live = await sam.send(id, 'welcome back')
    await again.until((frame) => frame.type === 'message.created' && frame.seq === live.seq)
    expect(caughtUp.seq).toBe(seq + 450)
    expect(again.entries(id).map((entry) => entry.seq)).toEqual(
      Array.from({ length: 451 }, (_, i) => seq + 1 + i),
    )
  })

  test('[R10] who begins to follow while others write is told everything once and in order', async () => {
    await using server = await startServer()
    const { ana, sam, id } = await cast(server)
    let isOver = false
    const writing = (async () => {
      while (!isOver) await Promise.all([ana.send(id, 'and'), ana.send(id, 'so'), ana.send(id, 'on')])
    })()
    await using _stopped = {
      async [Symbol.asyncDispose]() {
        isOver = true
        await writing
      },
    }
    for (let time = 0; time < 25; time++) {
      const hears = await sam.connect({ follow: [{ conversationId: id, after: 0 }] })
      const { seq } = await hears.until<{ type: 'caughtup'; seq: number; conversationId: string }>(
        (frame) => frame.type === 'caughtup',
      )
      await hears.until((frame) => frame.type === 'message.created' && frame.seq > seq + 3)
      const heard = hears.entries(id).map((entry) => entry.seq)
      expect(heard).toEqual(heard.map((_, i) => 1 + i))
      hears.close()
    }
  })

  test('[R10] with the feed on, after the reply to a follow nothing of the conversation comes but by it', async () => {
    await using server = await startServer()
    const { ana, sam, id } = await cast(server)
    let isOver = false
    const writing = (async () => {
      while (!isOver) await Promise.all([ana.send(id, 'and'), ana.send(id, 'so'), ana.send(id, 'on')])
    })()
    await using _stopped = {
      async [Symbol.asyncDispose]() {
        isOver = true
        await writing
      },
    }
    for (let time = 0; time < 15; time++) {
      const hears = await sam.connect()
      // The feed tells it already.
      await hears.until((frame) => frame.type === 'message.created')
      await hears.command('conversation.follow', { conversationId: id, after: 0 })
      const { seq } = await hears.until<{ type: 'caughtup'; seq: number; conversationId: string }>(
        (frame) => frame.type === 'caughtup',
      )
      await hears.until((frame) => frame.type === 'message.created' && frame.seq > seq + 3)
      const reply = hears.heard.findIndex(({ type }) => type === 'reply')
      const heard = hears.heard.slice(reply).filter(isLogged)
      expect(heard.map((entry) => entry.seq)).toEqual(heard.map((_, i) => 1 + i))
      hears.close()
    }
  })

  test('[R12] a position beyond the log is answered with reset, not with silence', async () => {
    await using server = await startServer()
    const { ana, id } = await cast(server)
    const socket = await ana.connect({ follow: [{ conversationId: id, after: 99 }] })
    expect(await socket.until((frame) => frame.type === 'reset')).toMatchObject({
      conversationId: id,
      reason: 'position_ahead',
    })
  })

  test('[R7] a list cursor brings back what changed while away, and nothing else', async () => {
    await using server = await startServer()
    const { ana, sam, id } = await cast(server)
    const { conversation: quiet } = await ana.call('conversation.create', { kind: 'support' })
    await untilPassed(server, 'conversation', quiet.id)
    const { cursor } = await ana.call('conversation.list', {})
    await sam.send(id, 'while you were away')
    const socket = await ana.connect({ cursor })
    const row = await socket.until((frame) => frame.type === 'conversation.changed')
    expect(row).toMatchObject({
      summary: { conversation: { id }, unread: 1, lastMessage: { body: 'while you were away' } },
    })
    await wait(100)
    expect(
      socket.heard.filter(
        (frame) => frame.type === 'conversation.changed' && frame.summary.conversation.id === quiet.id,
      ),
    ).toEqual([])
  })

  test('[R12] after 500 changed conversations a list cursor still brings each, after one more it is answered with reset', async () => {
    await using server = await startServer()
    const [ana, sam] = [await server.person('contact', 'ana'), await server.person('agent', 'sam')]
    await untilPassed(server, 'person', sam.userId)
    const { cursor } = await sam.call('conversation.list', {})
    const open = (n: number) => ana.call('conversation.create', { kind: 'support', clientKey: `${n}` })
    for (let n = 0; n < 500; n += 20) await Promise.all(Array.from({ length: 20 }, (_, i) => open(n + i)))
    const all = await sam.connect({ cursor })
    const rows = () => all.heard.filter(({ type }) => type === 'conversation.changed').length
    await expect.poll(rows, { timeout: 10_000 }).toBe(500)
    await open(500)
    const late = await sam.connect({ cursor })
    const reset = await late.until(({ type }) => type === 'reset')
    expect(reset).toMatchObject({ conversationId: null, reason: 'too_old' })
    expect(late.heard.filter(({ type }) => type === 'conversation.changed')).toEqual([])
  })

  test.each(transports)(
    '[A12] a row told over %s has links that open, as the list has',
    async (transport) => {
      await using server = await startServer()
      const { ana, sam, id } = await cast(server)
      const { cursor } = await sam.call('conversation.list', {})
      const attachmentIds = [await upload(server, ana, id)]
      await ana.call('message.send', { conversationId: id, clientMessageId: 'f', body: '', attachmentIds })
      const row = Promise.withResolvers<ConversationSummary>()
      const wire = await openWire(transport, {
        url: server.url,
        token: sam.token,
        hello: { cursor },
        hear: (frame) => frame.type === 'conversation.changed' && row.resolve(frame.summary),
      })
      const told = (await row.promise).lastMessage?.attachments[0]
      const listed = (await sam.call('conversation.list', {})).conversations[0]?.lastMessage?.attachments[0]
      for (const file of [told, listed])
        expect((await server.rest('GET', String(file?.url))).status).toBe(200)
      wire.close()
    },
  )

  test('[A4] a new conversation appears in the lists of the inbox’s team, and of nobody else', async () => {
    await using server = await startServer()
    const { workspaceId } = await server.workspace()
    const elsewhere = await (await server.person('owner', 'other', workspaceId)).connect()
    const stranger = await (await server.person('contact', 'eve')).connect()
    const sam = await (await server.person('agent', 'sam')).connect()
    const ana = await server.person('contact', 'ana')
    const { conversation } = await ana.call('conversation.create', { kind: 'support', subject: 'secret' })
    await ana.send(conversation.id, 'hello')
    await sam.until(
      (frame) => frame.type === 'conversation.changed' && frame.summary.conversation.id === conversation.id,
    )
    await sam.until((frame) => frame.type === 'message.created' && frame.message.body === 'hello')
    await wait(100)
    for (const socket of [elsewhere, stranger]) {
      const heard = socket.heard.map((frame) => frame.type).filter((type) => type !== 'heartbeat')
      expect(heard).toEqual(['welcome'])
    }
  })

  test('[W2] typing and receipts reach the other side, never the one who typed', async () => {
    await using server = await startServer()
    const { ana, sam, id } = await cast(server)
    const { seq } = await ana.send(id, 'hello')
    const anaHears = await ana.connect({ follow: [{ conversationId: id, after: seq }] })
    const samHears = await sam.connect({ follow: [{ conversationId: id, after: seq }] })
    await Promise.all(
      [anaHears, samHears].map((socket) => socket.until((frame) => frame.type === 'caughtup')),
    )
    await samHears.command('typing.set', { conversationId: id, typing: true })
    await samHears.command('receipt.move', { conversationId: id, read: seq })
    expect(await anaHears.until((frame) => frame.type === 'typing.changed')).toMatchObject({
      name: 'sam',
      typing: true,
    })
    expect(await anaHears.until((frame) => frame.type === 'receipt.moved')).toMatchObject({
      receipt: { userId: sam.userId, read: seq, delivered: seq },
    })
    expect(samHears.heard.some((frame) => frame.type === 'typing.changed')).toBe(false)
  })

  test('marking everything read is told with the time of that mark, and again when nothing was unread', async () => {
    await using server = await startServer()
    const { ana, sam, id } = await cast(server)
    const { seq } = await ana.send(id, 'hello')
    const anaHears = await ana.connect({ follow: [{ conversationId: id, after: seq }] })
    await anaHears.until((frame) => frame.type === 'caughtup')
    for (const count of [1, 0]) {
      const marked = await sam.call('receipt.markAllRead', { conversationId: id })
      expect(marked).toMatchObject({ count, receipt: { allReadAt: expect.any(String) } })
      await anaHears.until(
        (frame) => frame.type === 'receipt.moved' && frame.receipt.allReadAt === marked.receipt.allReadAt,
      )
    }
    const told = anaHears.heard.filter((frame) => frame.type === 'receipt.moved')
    expect(told.map(({ receipt }) => receipt)).toMatchObject([
      { userId: sam.userId, read: seq, allReadAt: expect.any(String) },
      (await sam.call('receipt.list', { conversationId: id })).receipts[0],
    ])
  })
})

describe('weather', () => {
  test('[W1] [W2] typing and its end are told over every transport to those who follow, and to nobody who comes later', async () => {
    await using server = await startServer()
    const { ana, sam, id } = await cast(server)
    const listen = (hello: object) =>
      Promise.all(
        transports.map(async (transport) => {
          const heard: ServerFrame[] = []
          const wire = await openWire(transport, { ...ana, hello, hear: (frame) => heard.push(frame) })
          const typing = () =>
            heard.flatMap((frame) => (frame.type === 'typing.changed' ? [frame.typing] : []))
          const caughtUp = () => heard.some(({ type }) => type === 'caughtup')
          return { wire, typing, caughtUp }
        }),
      )
    const follow = [{ conversationId: id, after: 0 }]
    const [following, listing] = [await listen({ feed: false, follow }), await listen({})]
    for (const { caughtUp } of following) await expect.poll(caughtUp, { timeout: 10_000 }).toBe(true)
    for (const typing of [true, true, false]) await sam.call('typing.set', { conversationId: id, typing })
    await sam.call('typing.set', { conversationId: id, typing: true })
    for (const { typing } of following) {
      await expect.poll(typing, { timeout: 10_000 }).toEqual([true, true, false, true])
    }
    const late = await listen({ feed: false, follow })
    for (const { caughtUp } of late) await expect.poll(caughtUp, { timeout: 10_000 }).toBe(true)
    // Each reply comes after whatever else would have come.
    for (const { wire, typing } of [...late, ...listing]) {
      await wire.command('unread.get', {})
      expect(typing()).toEqual([])
    }
    for (const { wire } of [...following, ...listing, ...late]) wire.close()
  })

  test('[W3] [W4] who has a connection is here and who has none is not: one server knows, and never says `unknown`', async () => {
    await using server = await startServer()
    const { ana, sam, id } = await cast(server)
    await sam.call('conversation.take', { conversationId: id })
    const stranger = await server.person('contact', 'eve')
    const watching = await Promise.all(
      transports.map(async (transport) => {
        const heard: ServerFrame[] = []
        const wire = await openWire(transport, { ...ana, hear: (frame) => heard.push(frame) })
        const states = () =>
          heard.flatMap((frame) => (frame.type === 'presence.changed' ? [frame.presence] : []))
        return { wire, states }
      }),
    )
    const userIds = [sam.userId, stranger.userId]
    for (const { wire } of watching) {
      const { ok, result } = await wire.command('presence.watch', { userIds })
      const presence = [{ userId: sam.userId, state: 'offline', lastSeenAt: null }]
      expect({ ok, result }).toEqual({ ok: true, result: { presence } })
    }
    const [desk, phone] = [await sam.connect(), await sam.connect()]
    const eve = await stranger.connect()
    await sam.call('presence.set', { state: 'away' })
    await sam.call('presence.set', { state: 'online' })
    for (const socket of [desk, phone, eve]) socket.close()
    for (const { states, wire } of watching) {
      const told = () =>
        states().map(({ userId, state }) => `${userId === sam.userId ? 'sam' : 'eve'} ${state}`)
      await expect.poll(() => told().at(-1), { timeout: 10_000 }).toBe('sam offline')
      expect(new Set(told())).toEqual(new Set(['sam online', 'sam away', 'sam offline']))
      wire.close()
    }
    const { presence } = await ana.call('presence.get', { userIds })
    expect(presence).toEqual([{ userId: sam.userId, state: 'offline', lastSeenAt: expect.any(String) }])
  })
})

describe('presence', () => {
  /** What whoever watches a person was told of them after the answer to `presence.watch`. */
  async function watch(watcher: Person, userId: string) {
    const socket = await watcher.connect()
    await socket.command('presence.watch', { userIds: [userId] })
    const told = () =>
      socket.heard.flatMap((frame) => (frame.type === 'presence.changed' ? [frame.presence.state] : []))
    // Whatever was told comes before the answer to this.
    const now = async () => (await socket.command('presence.get', { userIds: [userId] })).result
    return { told, now }
  }
  const state = (state: string) => ({ presence: [{ state }] })

  test('[W5] a person is away when all of their connections are, whichever transport and session they have', async () => {
    await using server = await startServer()
    const { ana, sam } = await cast(server)
    const [page, phone] = [await ana.connect(), await openPoll(ana)]
    const seen = await watch(sam, ana.userId)
    const { connectionId } = (await phone.until((frame) => frame.type === 'welcome')) as {
      connectionId: string
    }
    await page.command('presence.set', { state: 'away' })
    expect(await seen.now()).toMatchObject(state('online'))
    const says = { type: 'presence.set', id: 1, state: 'away' }
    await server.rest('POST', `/api/v1/realtime/connections/${connectionId}`, {
      token: ana.token,
      body: says,
    })
    await phone.until((frame) => frame.type === 'reply')
    expect(await seen.now()).toMatchObject(state('away'))
    await page.command('presence.set', { state: 'online' })
    expect(await seen.now()).toMatchObject(state('online'))
    page.close()
    await expect.poll(seen.told).toEqual(['away', 'online', 'away'])
    phone.close()
  })

  test('[W5] over REST it counts for the connections of the session that says it', async () => {
    await using server = await startServer()
    const { ana, sam } = await cast(server)
    const seen = await watch(sam, ana.userId)
    const one = await ana.connect()
    const two = await ana.connect()
    const other = await ana.connect({ token: await anotherSession(server, ana) })
    await ana.call('presence.set', { state: 'away' })
    expect(await seen.now()).toMatchObject(state('online'))
    other.close()
    await expect.poll(seen.told).toEqual(['online', 'away'])
    await ana.call('presence.set', { state: 'online' })
    expect(await seen.now()).toMatchObject(state('online'))
    for (const socket of [one, two]) socket.close()
  })
})

describe('hints that get lost', () => {
  test('[R10] [G5] with a third of the announcements dropped and a third repeated, listeners end at the log', async () => {
    const lossy = lossyFanout(0.35, 0.35)
    await using server = await startServer({ fanout: lossy })
    const { ana, sam, id } = await cast(server)
    const socket = await ana.connect({ follow: [{ conversationId: id, after: 0 }] })
    const bodies: string[] = []
    for (let i = 0; i < 60; i++) {
      await (i % 2 ? ana : sam).send(id, `line ${i}`)
      bodies.push(`line ${i}`)
    }
    const { lastSeq } = await ana.call('message.list', { conversationId: id })
    await socket.until((frame) => 'seq' in frame && frame.type !== 'caughtup' && frame.seq === lastSeq, 6_000)
    expect(lossy.dropped).toBeGreaterThan(0)
    const heard = socket.entries(id)
    expect(heard.flatMap((entry) => entry.body ?? [])).toEqual(bodies)
    expect(heard.map((entry) => entry.seq)).toEqual(Array.from({ length: lastSeq }, (_, i) => i + 1))
  })

  test('[R13] [G5] a list that follows nothing hears of a change whose announcement was lost', async () => {
    const lossy = lossyFanout(0, 0)
    await using server = await startServer({ fanout: lossy })
    const { ana, sam, id } = await cast(server)
    const desk = await sam.connect()
    lossy.drop = 1
    await ana.send(id, 'nobody was told')
    await desk.until((frame) => JSON.stringify(frame).includes('nobody was told'), 6_000)
  })

  test('[R8] rows and entries, in whatever order they come, make the list that a fresh read gives', async () => {
    const lossy = lossyFanout(0.3, 0.3)
    await using server = await startServer({ fanout: lossy })
    const { ana, sam, id } = await cast(server)
    const { cursor, ...page } = await sam.call('conversation.list', {})
    type Row = { lastSeq: number; said: string | undefined; unread: number }
    const rowOf = ({ conversation, lastMessage, unread }: (typeof page.conversations)[number]): Row => ({
      ...{ lastSeq: conversation.lastSeq, said: lastMessage?.body, unread },
    })
    let row = page.conversations.map(rowOf)[0] ?? { lastSeq: 0, said: undefined, unread: 0 }
    const listen = await sam.connect({ cursor })
    for (let i = 0; i < 40; i++) {
      await ana.send(id, `line ${i}`)
      if (i % 8 === 5) await sam.call('receipt.markAllRead', { conversationId: id })
    }
    lossy.drop = 0
    const last = await ana.send(id, 'the last line')
    await server.running.parley.sweep.look()
    const fold = () => {
      for (const frame of listen.heard.splice(0)) {
        if (frame.type === 'conversation.changed') {
          const told = rowOf(frame.summary)
          if (told.lastSeq >= row.lastSeq) row = told
        } else if (frame.type === 'receipt.moved')
          row = { ...row, unread: Math.min(row.unread, row.lastSeq - frame.receipt.read) }
        else if (frame.type === 'message.created' && frame.seq > row.lastSeq) {
          row = { lastSeq: frame.seq, said: frame.message.body, unread: row.unread + 1 }
        } else if ('seq' in frame && frame.type !== 'caughtup')
          row = { ...row, lastSeq: Math.max(row.lastSeq, frame.seq) }
      }
      return row
    }
    const { conversations } = await sam.call('conversation.list', {})
    await expect.poll(fold, { timeout: 10_000 }).toEqual(conversations.map(rowOf)[0])
    expect(row.lastSeq).toBe(last.seq)
    expect(lossy.dropped).toBeGreaterThan(0)
  })

  test('[R13] of two entries that are announced the wrong way round, the first one counts in lists too', async () => {
    const fanout = heldFanout()
    await using server = await startServer({ fanout })
    const { ana, sam, id } = await cast(server)
    const desk = await sam.connect()
    server.running.parley.hub.tidy(-1) // as after a minute in which nothing was written
    fanout.hold()
    await ana.send(id, 'first')
    const first = fanout.take()
    await ana.send(id, 'second')
    for (const announcement of first) fanout.hear(announcement)
    await desk.until((frame) => frame.type === 'conversation.changed' && frame.summary.unread === 2, 1_000)
  })

  test('[R13] an entry whose commit nobody heard of counts in lists, even when the next one is announced', async () => {
    const fanout = heldFanout()
    await using server = await startServer({ fanout })
    const { ana, sam, id } = await cast(server)
    const desk = await sam.connect()
    server.running.parley.hub.tidy(-1)
    fanout.hold()
    await ana.send(id, 'nobody was told')
    fanout.take()
    fanout.hear({ type: 'uncertain', conversationIds: [id] })
    await ana.send(id, 'and then this')
    await desk.until((frame) => frame.type === 'conversation.changed' && frame.summary.unread === 2, 6_000)
  })
})

describe('who may hear', () => {
  test('[A7] whoever is put out of a conversation stops hearing it and is told so', async () => {
    await using server = await startServer()
    const { owner, ana, bea, id } = await group(server)
    const socket = await bea.connect({ follow: [{ conversationId: id, after: 0 }] })
    await socket.until((frame) => frame.type === 'caughtup')
    await owner.call('participant.remove', { conversationId: id, userId: bea.userId })
    await socket.until((frame) => frame.type === 'conversation.lost')
    await ana.send(id, 'now she is gone')
    await wait(200)
    expect(JSON.stringify(socket.heard)).not.toContain('now she is gone')
    expect((await bea.try('message.list', { conversationId: id })).status).toBe(404)
  })

  test('[R14] whoever follows nothing and is put out of a conversation is told that it is lost', async () => {
    await using server = await startServer()
    const { owner, bea, id } = await group(server)
    const beaHears = await bea.connect()
    await owner.call('participant.remove', { conversationId: id, userId: bea.userId })
    await beaHears.until((frame) => frame.type === 'conversation.lost', 1_000)
  })

  test('[R14] of a conversation that is lost nothing more is told, over any transport, followed or not', async () => {
    await using server = await startServer()
    const { owner, ana, bea, id } = await group(server)
    const { conversation: other } = await owner.call('conversation.create', {
      kind: 'group',
      participantIds: [ana.userId, bea.userId],
    })
    const follow = [{ conversationId: id, after: 0 }]
    const hearing = await Promise.all(
      transports.flatMap((transport) =>
        [{ follow }, { follow, feed: false }, {}].map(async (hello) => {
          const heard: ServerFrame[] = []
          const wire = await openWire(transport, { ...bea, hello, hear: (frame) => heard.push(frame) })
          if ('follow' in hello)
            await expect.poll(() => heard.some(({ type }) => type === 'caughtup')).toBe(true)
          return { heard, wire }
        }),
      ),
    )
    const talk = async (conversationId: string) => {
      const { id: messageId, seq } = await ana.send(conversationId, 'she should hear this')
      await owner.call('message.react', { messageId, emoji: '👍' })
      await owner.call('receipt.move', { conversationId, read: seq })
      await ana.call('typing.set', { conversationId, typing: true })
    }
    const about = (heard: ServerFrame[]) =>
      heard.filter((frame) => 'conversationId' in frame && frame.conversationId === id)
    await talk(id)
    await owner.call('participant.remove', { conversationId: id, userId: bea.userId })
    for (const { heard } of hearing) {
      await expect.poll(() => about(heard).at(-1)?.type, { timeout: 10_000 }).toBe('conversation.lost')
    }
    await talk(id)
    // What they may still hear comes after whatever else would have come.
    const mark = await ana.send(other.id, 'the other talk goes on')
    for (const { heard, wire } of hearing) {
      await wire.command('conversation.follow', { conversationId: other.id, after: mark.seq - 1 })
      await expect
        .poll(() => heard.some((frame) => frame.type === 'message.created' && frame.message.id === mark.id))
        .toBe(true)
      expect(
        about(heard)
          .map(({ type }) => type)
          .at(-1),
      ).toBe('conversation.lost')
      wire.close()
    }
  })

  test('[A7] whoever may no longer know of somebody stops hearing whether they are here', async () => {
    await using server = await startServer()
    const { ana, sam, id } = await cast(server)
    await sam.call('conversation.take', { conversationId: id })
    const anaHears = await ana.connect()
    await anaHears.command('presence.watch', { userIds: [sam.userId] })
    await sam.call('participant.remove', { conversationId: id, userId: ana.userId })
    await anaHears.until((frame) => frame.type === 'conversation.lost')
    const desk = await sam.connect()
    await desk.until((frame) => frame.type === 'welcome')
    await wait(200)
    expect(anaHears.heard.filter((frame) => frame.type === 'presence.changed')).toEqual([])
  })

  test('[T9] a connection takes commands from the session that opened it, and not from another of the same person', async () => {
    await using server = await startServer()
    const { sam } = await cast(server)
    const accessToken = await anotherSession(server, sam, server.inboxId)
    const poll = (path: string, token: string, body: object) =>
      server.rest('POST', `/api/v1/realtime/poll${path}`, { token, body })
    const { body } = await poll('', sam.token, { type: 'hello', token: sam.token })
    const heartbeat = { frames: [{ type: 'heartbeat' }] }
    expect((await poll(`/${body.connectionId}`, accessToken, heartbeat)).status).toBe(404)
    expect((await poll(`/${body.connectionId}`, 'x', heartbeat)).status).toBe(401)
  })

  test('[A7] logging out closes the sockets of that session within two seconds', async () => {
    await using server = await startServer()
    const { sam } = await cast(server)
    const socket = await sam.connect()
    await sam.call('auth.logout', {})
    expect(await socket.closed(2_000)).toBe(4102)
    expect((await sam.try('me.get', {})).status).toBe(401)
  })

  test('[T6] a binary frame and a bad token are closed with the codes for that', async () => {
    await using server = await startServer()
    const { ana } = await cast(server)
    const socket = await ana.connect()
    const { websocket } = socket
    websocket.send(Buffer.from([1, 2, 3]), { binary: true })
    expect(await socket.closed()).toBe(4100)
    await expect(server.person('contact').then((eve) => eve.connect({ token: 'nonsense' }))).rejects.toThrow(
      'closed with 4101',
    )
  })
})

/** A fan-out that drops and repeats a share of what it is given. */
function lossyFanout(drop: number, repeat: number): Fanout & { dropped: number; drop: number } {
  let hear: (announcement: Announcement) => void = () => {}
  return {
    dropped: 0,
    drop,
    announce(announcement) {
      if (Math.random() < this.drop) {
        this.dropped++
        return
      }
      hear(announcement)
      if (Math.random() < repeat) hear(announcement)
    },
    listen: (listener) => {
      hear = listener
    },
    close: async () => {},
  }
}

/** Passes everything on, until it is told to keep what the store's log brings. */
function heldFanout() {
  let listener: (announcement: Announcement) => void = () => {}
  let held: Announcement[] | undefined
  return {
    announce: (announcement: Announcement) => {
      if (held && announcement.type === 'logged') held.push(announcement)
      else listener(announcement)
    },
    listen: (hear: (announcement: Announcement) => void) => {
      listener = hear
    },
    close: async () => {},
    hear: (announcement: Announcement) => listener(announcement),
    hold: () => {
      held = []
    },
    /** What was kept; from now on everything is passed on again. */
    take: () => {
      const kept = held ?? []
      held = undefined
      return kept
    },
  } satisfies Fanout & Record<string, unknown>
}
