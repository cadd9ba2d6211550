import { setTimeout as wait } from 'node:timers/promises'
import { type OperationName, operationOf } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Person, startServer, type TestServer } from '../src/testing.ts'
import { ask, exampleOf, spokenNames } from './mutate.ts'
import { openPoll, openStream } from './streams.ts'
import { makeWorld, type World } from './world.ts'

let server: TestServer
/** Two workspaces of one server, with people of the same names and roles who do the same things. */
let here: World
let there: World

beforeAll(async () => {
  server = await startServer()
  here = await makeWorld(server)
  const { workspaceId, inboxId } = await server.workspace()
  const person: TestServer['person'] = (role, name) => server.person(role, name, workspaceId)
  there = await makeWorld({ url: server.url, rest: server.rest, inboxId, person })
})
afterAll(() => server[Symbol.asyncDispose]())

/** Every id, key and text that is only of one side. */
function marksOf({ known, ana, sam, owner }: World): string[] {
  const ids = Object.values(known).flat().map(String)
  return [...ids.filter((id) => /^[0-9a-f]{8}-/.test(id)), ana.userId, sam.userId, owner.userId]
}

const carries = (text: string, marks: string[]) => marks.filter((mark) => text.includes(mark))

describe('[A5] what is asked', () => {
  test('lists, counts, searches, the audit log and analytics hold the own side, and nothing of the other', async () => {
    const names = spokenNames.filter((name) => {
      const { method, params, access } = operationOf(name)
      return method === 'GET' && !params && access !== 'public'
    })
    expect(names.length).toBeGreaterThan(10)
    for (const [own, other] of [
      [here, there],
      [there, here],
    ] as const) {
      let found = 0
      for (const name of names) {
        for (const person of [own.owner, own.sam, own.ana]) {
          const { body } = await ask(server.rest, name, {}, person.token)
          const text = JSON.stringify(body)
          expect({ name, foreign: carries(text, marksOf(other)) }).toEqual({ name, foreign: [] })
          found += carries(text, marksOf(own)).length
        }
      }
      expect(found).toBeGreaterThan(20)
    }
  })

  test('a filter that names the other side’s inbox, contact or person finds nothing', async () => {
    const { owner } = here
    const { inboxId, contactId } = there.known
    for (const filter of [{ inboxId }, { contactId }, { inboxId, contactId }]) {
      const { body } = await ask(server.rest, 'conversation.list', filter, owner.token)
      expect(body.conversations).toEqual([])
    }
    const grants = await owner.call('grant.list', { userId: there.ana.userId })
    expect(grants.grants).toEqual([])
    const { presence } = await owner.call('presence.get', { userIds: [there.ana.userId, here.ana.userId] })
    expect(presence.map(({ userId }) => userId)).toEqual([here.ana.userId])
  })

  test('counts do not move by what happens on the other side', async () => {
    const before = await Promise.all([here.sam.call('unread.get', {}), here.owner.call('analytics.get', {})])
    await there.ana.send(there.conversationId, 'only there')
    await there.ana.call('conversation.create', { kind: 'support', inboxId: String(there.known.inboxId) })
    const after = await Promise.all([here.sam.call('unread.get', {}), here.owner.call('analytics.get', {})])
    expect(after).toEqual(before)
  })

  test('[R9] a list cursor and a page of the other side open nothing', async () => {
    const { cursor } = await there.owner.call('conversation.list', {})
    const socket = await here.owner.connect({ cursor })
    await there.ana.send(there.conversationId, 'after the cursor')
    await wait(200)
    expect(carries(JSON.stringify(socket.heard), marksOf(there))).toEqual([])
    socket.close()
    await there.owner.call('apiKey.create', { name: 'x', role: 'agent' })
    const { nextPage } = await there.owner.call('audit.list', { limit: 1 })
    const page = await ask(server.rest, 'audit.list', { page: nextPage }, here.owner.token)
    expect(carries(JSON.stringify(page.body), marksOf(there))).toEqual([])
  })
})

/** Names of headers that may differ by themselves. */
const changing = new Set(['date', 'content-length', 'keep-alive', 'connection'])
const headersOf = (headers: Headers) => [...headers].filter(([name]) => !changing.has(name))

describe('[E6] “not yours” and “not there”', () => {
  /** Every operation that names something, asked about what is there and about what is nowhere. */
  const naming = spokenNames.filter((name) => {
    const { params = {}, access } = operationOf(name)
    return access !== 'public' && Object.keys(params).some((param) => param !== 'emoji')
  })
  const sensible: Partial<Record<OperationName, Record<string, unknown>>> = {
    'message.list': { before: undefined },
  }

  async function compare(asker: Person): Promise<number> {
    let compared = 0
    for (const name of naming) {
      const nowhere = Object.fromEntries(
        Object.keys(operationOf(name).params ?? {}).map((key) => [
          key,
          key === 'emoji' ? '👍' : crypto.randomUUID(),
        ]),
      )
      const input = { ...exampleOf(name, there.known), ...sensible[name] }
      const yours = await ask(server.rest, name, input, asker.token)
      const none = await ask(server.rest, name, { ...input, ...nowhere }, asker.token)
      const view = (answer: typeof none) => ({
        ...{
          name,
          status: answer.status,
          body: JSON.stringify(answer.body),
          headers: headersOf(answer.headers),
        },
      })
      expect(view(yours)).toEqual(view(none))
      if (yours.status === 404) compared++
    }
    return compared
  }

  test('are byte for byte one answer to the owner of another workspace', async () => {
    expect(await compare(here.owner)).toBe(naming.length)
  })

  test('and to an agent of another workspace, whatever the rank allows', async () => {
    expect(await compare(here.sam)).toBeGreaterThan(20)
  })

  test('are one answer to a stranger of the same workspace too', async () => {
    const eve = await server.person('contact', 'eve', (await there.owner.call('me.get', {})).workspace.id)
    expect(await compare(eve)).toBeGreaterThan(20)
  })

  test('also over a socket, for commands and for following', async () => {
    const socket = await here.owner.connect()
    const { conversationId } = there
    for (const [type, more] of [
      ['conversation.follow', { after: 0 }],
      ['conversation.get', {}],
      ['message.send', { clientMessageId: 'x', body: 'x' }],
      ['typing.set', { typing: true }],
      ['receipt.move', { read: 1 }],
    ] as const) {
      const [yours, none] = [
        await socket.command(type, { conversationId, ...more }),
        await socket.command(type, { conversationId: crypto.randomUUID(), ...more }),
      ]
      expect({ ...yours, id: 0 }).toEqual({ ...none, id: 0 })
      expect(yours).toMatchObject({ ok: false, error: { code: 'not_found' } })
    }
    socket.close()
    const hello = (id: string) => here.owner.connect({ follow: [{ conversationId: id, after: 0 }] })
    const sockets = [await hello(conversationId), await hello(crypto.randomUUID())]
    for (const one of sockets) await one.until(({ type }) => type === 'conversation.lost')
    expect(sockets.map(({ heard }) => heard.map(({ type }) => type))).toEqual([
      ['welcome', 'conversation.lost'],
      ['welcome', 'conversation.lost'],
    ])
    for (const one of sockets) one.close()
  })

  test('an account that exists elsewhere cannot be found by signing in here', async () => {
    const email = `${crypto.randomUUID()}@example.com`
    const password = 'correct horse'
    const { token } = await there.owner.call('invitation.create', { role: 'agent' })
    const slug = (await there.owner.call('me.get', {})).workspace.slug
    const register = { name: 'x', email, password, workspace: slug, invitation: token }
    expect((await server.rest('POST', '/api/v1/auth/register', { body: register })).status).toBe(201)
    const login = (body: object) => server.rest('POST', '/api/v1/auth/login', { body })
    expect((await login({ email, password, workspace: slug })).status).toBe(200)
    const answers = [await login({ email, password }), await login({ email: 'nobody@example.com', password })]
    expect(answers.map(({ status, body }) => [status, JSON.stringify(body)])).toEqual(
      Array(2).fill([401, JSON.stringify(answers[0]?.body)]),
    )
  })
})

test('[A5] [W2] [W3] nothing that is said, typed, read or shown on one side is heard on the other, over any transport', async () => {
  const follow = [{ conversationId: there.conversationId, after: 0 }]
  const ears = [
    ...[await here.owner.connect({ follow }), await here.sam.connect(), await here.ana.connect()],
    ...[await openStream(here.owner, { follow }), await openPoll(here.owner, { follow })],
  ]
  const spy = await here.owner.connect()
  const watched = await spy.command('presence.watch', { userIds: [there.ana.userId, there.sam.userId] })
  expect(watched.result).toEqual({ presence: [] })
  const { ana, sam, owner, conversationId } = there
  const witness = await sam.connect({ follow: [{ conversationId, after: 0 }] })
  const speaker = await ana.connect()
  const { seq } = await ana.send(conversationId, 'whispered')
  await ana.call('typing.set', { conversationId, typing: true })
  await ana.call('receipt.move', { conversationId, read: seq })
  await ana.call('presence.set', { state: 'away' })
  await sam.call('message.note', { conversationId, clientMessageId: 'n', body: 'noted' })
  await sam.call('conversation.take', { conversationId })
  await owner.call('conversation.create', { kind: 'group', participantIds: [ana.userId] })
  await owner.call('user.update', { userId: sam.userId, name: 'samuel' })
  await sam.call('conversation.close', { conversationId })
  await witness.until((frame) => frame.type === 'conversation.updated' && frame.changes.status === 'closed')
  speaker.close()
  // As long as the sweep may take to find what was not announced.
  await wait(2_500)
  for (const ear of [...ears, spy]) {
    // The sweep may tell the own row once more: a transaction elsewhere on the database server holds its horizon back.
    const unexpected = ear.heard.filter(
      (frame) =>
        !['welcome', 'heartbeat', 'reply', 'conversation.lost'].includes(frame.type) &&
        !(frame.type === 'conversation.changed' && frame.summary.conversation.id === here.conversationId),
    )
    expect(unexpected).toEqual([])
    expect(JSON.stringify(ear.heard)).not.toMatch(/whispered|noted|samuel/)
    ear.close()
  }
  witness.close()
})
