import type { Event } from '@parley/protocol'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { Person, startServer, type TestServer, type TestSocket } from '../src/testing.ts'
import { openPoll, openStream, type Stream } from './streams.ts'
import { makeWorld, upload, type World } from './world.ts'

/** Promise G20: REST at once; sockets, streams and file links within this. */
const promisedMs = 2_000

let server: TestServer
let world: World

beforeAll(async () => {
  server = await startServer()
  world = await makeWorld(server)
})
afterAll(() => server[Symbol.asyncDispose]())

const password = 'correct horse'

/** An agent with a password, signed in, who listens in every way and holds the link of a file. */
async function listening(role: 'agent' | 'supervisor' = 'agent') {
  const email = `${crypto.randomUUID()}@example.com`
  const { token } = await world.owner.call('invitation.create', { role, inboxIds: [server.inboxId] })
  const made = await server.rest('POST', '/api/v1/auth/register', {
    body: { name: 'abe', email, password, invitation: token },
  })
  const { user, tokens } = made.body
  const abe = new Person(server.url, user.id, 'abe', tokens.accessToken)
  const follow = [{ conversationId: world.conversationId, after: 0 }]
  const socket = await abe.connect({ follow })
  const stream = await openStream(abe, { follow })
  const poll = await openPoll(abe, { follow })
  const { url: link } = await abe.call('attachment.get', { attachmentId: String(world.known.attachmentId) })
  expect((await server.rest('GET', link)).status).toBe(200)
  return { abe, email, link, ears: { socket, stream, poll } }
}

/** Another session of the same person. */
async function signIn({ userId, name }: Person, email: string): Promise<Person> {
  const { body } = await server.rest('POST', '/api/v1/auth/login', { body: { email, password } })
  return new Person(server.url, userId, name, body.tokens.accessToken)
}

/** A link of a file, as the socket of this person hears it with its message. */
async function shareFile(hearer: Person, socket: TestSocket): Promise<string> {
  const { conversationId } = world
  await socket.command('conversation.follow', { conversationId, after: 0 })
  const attachmentId = await upload(server, world.ana, conversationId)
  const clientMessageId = crypto.randomUUID()
  await world.ana.call('message.send', {
    conversationId,
    clientMessageId,
    body: '',
    attachmentIds: [attachmentId],
  })
  const told = await socket.until<Extract<Event, { type: 'message.created' }>>(
    (frame) =>
      frame.type === 'message.created' && frame.message.attachments.some(({ id }) => id === attachmentId),
  )
  const [file] = told.message.attachments
  expect(file?.url).toContain(`for=${hearer.userId}`)
  return String(file?.url)
}

type Ears = { socket: TestSocket; stream: Stream; poll: Stream }

/** What is said from now on reaches everybody but these. */
async function expectDeaf(ears: Ears): Promise<void> {
  const body = `not for them ${crypto.randomUUID()}`
  const witness = await world.sam.connect()
  await world.ana.send(world.conversationId, body)
  await witness.until((frame) => JSON.stringify(frame).includes(body))
  witness.close()
  for (const [name, ear] of Object.entries(ears)) {
    expect({ name, hears: JSON.stringify(ear.heard).includes(body) }).toEqual({ name, hears: false })
  }
}

async function expectEnded({ socket, stream, poll }: Ears): Promise<void> {
  const [code] = await Promise.all([
    socket.closed(promisedMs),
    stream.ended(promisedMs),
    poll.ended(promisedMs),
  ])
  expect(code).toBe(4102)
  const last = { type: 'close', reason: 'revoked' }
  expect(stream.heard.at(-1)).toEqual(last)
  // Between two polls it is the status of the next one that says so (SPEC C4).
  expect([last, 401]).toContainEqual(poll.refused() ?? poll.heard.at(-1))
}

async function expectLinkDead(link: string): Promise<void> {
  await expect
    .poll(async () => (await server.rest('GET', link)).status, { timeout: promisedMs, interval: 50 })
    .toBe(404)
}

describe('[A7] whose session has ended is out of REST at once, and of everything open within two seconds', () => {
  test('by logging out', async () => {
    const { abe, ears, link } = await listening()
    await abe.call('auth.logout', {})
    expect((await abe.try('me.get', {})).status).toBe(401)
    await expectEnded(ears)
    await expectLinkDead(link)
    await expectDeaf(ears)
  })

  test('[A12] by logging out of one session of two: a file link belongs to the session it was given to', async () => {
    const { abe, email, ears, link } = await listening()
    const there = await signIn(abe, email)
    const socket = await there.connect()
    const own = await shareFile(there, socket)
    await abe.call('auth.logout', {})
    await expectEnded(ears)
    await expectLinkDead(link)
    expect((await server.rest('GET', own)).status).toBe(200)
    await signIn(abe, email)
    expect((await server.rest('GET', link)).status).toBe(404)
    await there.call('auth.logout', {})
    await expectLinkDead(own)
    expect(await socket.closed(promisedMs)).toBe(4102)
  })

  test('by a changed password, in another session than the one that changed it', async () => {
    const { abe, email, ears, link } = await listening()
    const there = await signIn(abe, email)
    const stays = await there.connect()
    await there.call('me.password', { current: password, next: 'another horse' })
    expect((await abe.try('me.get', {})).status).toBe(401)
    await expectEnded(ears)
    await expectLinkDead(link)
    await expectDeaf(ears)
    expect((await there.try('me.get', {})).status).toBe(200)
    expect(await stays.command('unread.get')).toMatchObject({ ok: true })
    stays.close()
  })

  test('by being switched off, with every link of a file', async () => {
    const { abe, ears, link } = await listening()
    await world.owner.call('user.update', { userId: abe.userId, active: false })
    expect((await abe.try('me.get', {})).status).toBe(401)
    await expectEnded(ears)
    await expectLinkDead(link)
    await expectDeaf(ears)
  })
})

describe('[A7] who may see less sees less at once', () => {
  test('taken out of an inbox: its conversations are over, the session is not', async () => {
    const { abe, ears, link } = await listening()
    await world.owner.call('inboxMember.remove', { inboxId: server.inboxId, userId: abe.userId })
    const { conversationId } = world
    expect((await abe.try('message.list', { conversationId })).status).toBe(404)
    expect((await abe.call('conversation.list', {})).conversations).toEqual([])
    await Promise.all(
      Object.values(ears).map((ear) =>
        ear.until(
          (frame) => frame.type === 'conversation.lost' && frame.conversationId === conversationId,
          promisedMs,
        ),
      ),
    )
    await expectLinkDead(link)
    await expectDeaf(ears)
    expect(await ears.socket.command('unread.get')).toMatchObject({ ok: true })
    for (const ear of Object.values(ears)) ear.close()
  })

  test('made a contact: not an agent’s verbs, lists, notes or files any more', async () => {
    const { abe, ears, link } = await listening()
    await world.owner.call('user.update', { userId: abe.userId, role: 'contact' })
    expect((await abe.try('user.list', {})).status).toBe(403)
    expect((await abe.try('message.list', { conversationId: world.conversationId })).status).toBe(404)
    await Promise.all(
      Object.values(ears).map((ear) => ear.until((frame) => frame.type === 'conversation.lost', promisedMs)),
    )
    await expectLinkDead(link)
    await expectDeaf(ears)
    for (const ear of Object.values(ears)) ear.close()
  })

  test('[A6] made a contact who takes part: goes on hearing messages, and no note', async () => {
    const { abe, ears } = await listening()
    const { conversationId, sam } = world
    await abe.send(conversationId, 'I join by writing')
    await world.owner.call('user.update', { userId: abe.userId, role: 'contact' })
    await Promise.all(
      Object.values(ears).map((ear) => ear.until((frame) => frame.type === 'reset', promisedMs)),
    )
    const note = `a note ${crypto.randomUUID()}`
    await sam.call('message.note', { conversationId, clientMessageId: note.slice(7), body: note })
    const last = await sam.send(conversationId, 'a message')
    for (const [name, ear] of Object.entries(ears)) {
      await ear.until((frame) => frame.type === 'message.created' && frame.seq === last.seq)
      expect({ name, note: JSON.stringify(ear.heard).includes(note) }).toEqual({ name, note: false })
      ear.close()
    }
    expect(JSON.stringify((await abe.try('message.list', { conversationId })).body)).not.toContain(note)
  })

  test('[R12] a list cursor from before a change of inboxes or role is answered with reset', async () => {
    const { abe, ears } = await listening()
    for (const change of [
      () => world.owner.call('inboxMember.remove', { inboxId: server.inboxId, userId: abe.userId }),
      () => world.owner.call('inboxMember.put', { inboxId: server.inboxId, userId: abe.userId }),
      () => world.owner.call('user.update', { userId: abe.userId, role: 'supervisor' }),
    ]) {
      const { cursor } = await abe.call('conversation.list', {})
      await change()
      const socket = await abe.connect({ cursor })
      expect(await socket.until((frame) => frame.type === 'reset', promisedMs)).toMatchObject({
        reason: 'access',
      })
      socket.close()
    }
    for (const ear of Object.values(ears)) ear.close()
  })
})

test('[A11] [A7] when a grant has ended, the pair can read and not write, over REST and open sockets', async () => {
  const { owner } = world
  const [bea, cid] = [await server.person('contact', 'bea'), await server.person('contact', 'cid')]
  const grant = await owner.call('grant.create', { userIds: [bea.userId, cid.userId] })
  const { conversation } = await bea.call('conversation.create', {
    kind: 'direct',
    participantIds: [cid.userId],
    grantRequired: true,
  })
  const conversationId = conversation.id
  const mine = await bea.send(conversationId, 'while it lasts')
  const socket = await bea.connect({ follow: [{ conversationId, after: 0 }] })
  await owner.call('grant.end', { grantId: grant.id })
  const send = { conversationId, clientMessageId: 'late', body: 'too late' }
  const overRest = await bea.try('message.send', send)
  expect([overRest.status, overRest.body.error.code]).toEqual([403, 'grant_required'])
  expect(await socket.command('message.send', send)).toMatchObject({
    ok: false,
    error: { code: 'grant_required' },
  })
  expect(await upload(server, bea, conversationId)).toBeUndefined()
  const { messages } = await cid.call('message.list', { conversationId })
  expect(messages.map(({ body }) => body)).toEqual(['while it lasts'])
  expect((await bea.try('message.edit', { messageId: mine.id, body: 'through the back door' })).status).toBe(
    403,
  )
  expect((await cid.try('message.get', { messageId: mine.id })).body.body).toBe('while it lasts')
  await owner.call('grant.create', { userIds: [bea.userId, cid.userId] })
  expect(await socket.command('message.send', { ...send, body: 'again' })).toMatchObject({ ok: true })
  socket.close()
})

test('[A7] a grant that has ended without a word is found by the sweep', async () => {
  const { owner } = world
  const { hub, sweep, chat } = server.running.parley
  const [bea, cid] = [await server.person('contact', 'bea'), await server.person('contact', 'cid')]
  const { id } = await owner.call('grant.create', { userIds: [bea.userId, cid.userId] })
  const socket = await bea.connect()
  const told = vi.spyOn(hub, 'recheck')
  const found = () => {
    const people = told.mock.calls.flatMap(([userIds]) => userIds)
    return [bea.userId, cid.userId].filter((userId) => people.includes(userId))
  }
  const look = async () => {
    told.mockClear()
    await sweep.look()
    return found()
  }
  // They are new, and other transactions of the database server may hold back what the sweep has seen.
  await expect.poll(look, { timeout: 20_000 }).toEqual([])
  await chat.db
    .updateTable('access_grant')
    .set({ ended_at: sql`now()`, changed_xid: sql`pg_current_xact_id()` })
    .where('id', '=', id)
    .execute()
  // Its own clock may have made it look already.
  await sweep.look()
  expect(found()).toEqual([bea.userId, cid.userId])
  told.mockRestore()
  socket.close()
})

test('[A7] an API key that is revoked is out at once, and its socket within two seconds', async () => {
  const { apiKey, token } = await world.owner.call('apiKey.create', { name: 'short-lived', role: 'agent' })
  const program = new Person(server.url, '', 'program', token)
  const socket = await program.connect()
  const { conversation } = await program.call('conversation.create', {
    kind: 'support',
    inboxId: server.inboxId,
  })
  const attachmentId = await upload(server, program, conversation.id)
  const { url: link } = await program.call('attachment.get', { attachmentId })
  expect((await server.rest('GET', link)).status).toBe(200)
  expect((await program.try('me.get', {})).status).toBe(200)
  await world.owner.call('apiKey.revoke', { apiKeyId: apiKey.id })
  expect((await program.try('me.get', {})).status).toBe(401)
  await expectLinkDead(link)
  expect(await socket.closed(promisedMs)).toBe(4102)
})
