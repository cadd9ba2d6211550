import { execFile } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import type { Door } from '../../src/dialects/door.ts'
import { readToken } from '../../src/dialects/livesupport/tokens.ts'
import { type Person, startServer, type TestServer } from '../../src/testing.ts'
import { startChild } from '../child.ts'
import { Client, LiveSocket } from './livesupport-client.ts'

const curl = promisify(execFile)

describe('on a demo server', () => {
  let server: TestServer
  let nobody: Client
  let root: string
  let owner: Person
  const sockets: LiveSocket[] = []

  beforeAll(async () => {
    server = await startServer({ args: ['--demo'], env: { PARLEY_MOUNTS: 'livesupport:0' } })
    nobody = new Client(`${server.url}/livesupport`)
    root = server.running.mounts[0]?.url ?? ''
    owner = await server.person('owner', 'Olga')
  }, 60_000)
  afterAll(() => server[Symbol.asyncDispose]())
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.close()
  })

  const connect = async (client: Client) => {
    const socket = await client.connect()
    sockets.push(socket)
    return socket
  }
  const team = async () => {
    const sam = await nobody.person('supervisor')
    const [alex, carla] = await Promise.all([
      nobody.person('agent', { supervisorId: sam.id }),
      nobody.person('candidate'),
    ])
    return { sam, alex, carla, chat: await carla.open(sam) }
  }
  /** An agent and a candidate in the room of an assigned conversation. */
  const talk = async () => {
    const cast = await team()
    await cast.sam.assign(cast.chat, cast.alex)
    const [carlaHears, alexHears] = [await connect(cast.carla), await connect(cast.alex)]
    await carlaHears.join(cast.chat)
    await alexHears.join(cast.chat)
    return { ...cast, carlaHears, alexHears }
  }
  const native = async (client: Client) => {
    const login = await server.rest('POST', '/api/v1/auth/login', {
      body: { email: client.email, password: 'password123' },
    })
    return { token: login.body.tokens.accessToken as string, userId: login.body.user.id as string }
  }
  const nativeIdOf = async (chat: string) => {
    const row = await server.running.parley.chat.db
      .selectFrom('alias')
      .select('id')
      .where('kind', '=', 'conversation')
      .where('name', '=', chat)
      .executeTakeFirstOrThrow()
    return row.id
  }

  test('a store that failed while the key was fetched is asked again', async () => {
    const candidate = await nobody.person('candidate')
    const { token = '' } = candidate
    const { chat, log } = server.running.parley
    const mount = { dialect: 'livesupport', workspaceId: server.workspaceId, base: '', options: {} }
    const door = { mount, log, chat: { ...chat, db: undefined } }
    await expect(readToken(door as unknown as Door, token)).rejects.toThrow(TypeError)
    Object.assign(door.chat, { db: chat.db })
    const { userId } = await native(candidate)
    expect(await readToken(door as unknown as Door, token)).toMatchObject({ userId })
  })

  test('what a newcomer types works, with curl and a WebSocket client, at the root of a port', async () => {
    const json = ['-s', '-H', 'content-type: application/json']
    const ask = async (path: string, body: object | null, token = '') => {
      const authorization = token ? ['-H', `authorization: Bearer ${token}`] : []
      const data = body ? ['-d', JSON.stringify(body)] : []
      const { stdout } = await curl('curl', [...json, ...authorization, ...data, `${root}${path}`])
      return JSON.parse(stdout).data
    }
    const account = (role: string) => ({
      name: role,
      email: `${role}@walk.example`,
      password: 'password123',
      role,
    })
    const token = async (role: string) =>
      (await ask('/auth/login', { email: `${role}@walk.example`, password: 'password123' })).token
    const sam = await ask('/auth/signup', account('supervisor'))
    const alex = await ask('/auth/signup', { ...account('agent'), supervisorId: sam._id })
    await ask('/auth/signup', account('candidate'))
    const chat = await ask('/conversations', { supervisorId: sam._id }, await token('candidate'))
    await ask(`/conversations/${chat._id}/assign`, { agentId: alex._id }, await token('supervisor'))
    const candidate = await connect(new Client(root, { token: await token('candidate') }))
    const agent = await connect(new Client(root, { token: await token('agent') }))
    await candidate.join(chat._id)
    await agent.join(chat._id)
    candidate.send(chat._id, 'Hello')
    expect((await agent.next()).data.content).toBe('Hello')
    agent.say('CLOSE_CONVERSATION', { conversationId: chat._id })
    expect((await candidate.next()).event).toBe('CONVERSATION_CLOSED')
    const read = await ask(`/conversations/${chat._id}`, null, await token('candidate'))
    expect(read).toMatchObject({
      status: 'closed',
      messages: [{ content: 'Hello', senderRole: 'candidate' }],
    })
  })

  test('a token is a readable HS256 one for a day, and signed with the key of this dialect alone', async () => {
    const carla = await nobody.person('candidate')
    const token = carla.token ?? ''
    expect(decodeProtectedHeader(token).alg).toBe('HS256')
    const claims = decodeJwt(token)
    expect(claims).toMatchObject({ userId: carla.id, role: 'candidate', email: carla.email })
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(86_400)
    const { token: nativeToken } = await native(carla)
    for (const other of [
      nativeToken,
      await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from('your-secret-key')),
    ]) {
      const answer = await new Client(nobody.base, { token: other }).get('/auth/me')
      expect(answer).toMatchObject({ status: 401, body: { success: false, error: 'Invalid token' } })
    }
    const there = await server.rest('GET', '/api/v1/me', { token })
    expect(there.status).toBe(401)
  })

  test('of many who open at once for one candidate, one is first', async () => {
    const { sam } = await team()
    const carla = await nobody.person('candidate')
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => carla.post('/conversations', { supervisorId: sam.id })),
    )
    const statuses = answers.map((answer) => answer.status).sort()
    expect(statuses).toEqual([201, ...Array.from({ length: 11 }, () => 409)])
    expect((await carla.get('/conversations')).body.data).toHaveLength(1)
  })

  test('a supervisor of the desk, who never signed up here, gets a team with the first conversation', async () => {
    const sue = await server.person('supervisor', 'Sue')
    const carla = await nobody.person('candidate')
    const listed = (await carla.get('/supervisors')).body.data
    const { _id } = listed.find((one: { name: string }) => one.name === 'Sue')
    const opened = await Promise.all([
      carla.post('/conversations', { supervisorId: _id }),
      (await nobody.person('candidate')).post('/conversations', { supervisorId: _id }),
    ])
    expect(opened.map((answer) => answer.status)).toEqual([201, 201])
    const inboxes = (await sue.call('inbox.list', {})).inboxes.filter((inbox) => inbox.kind === 'supervisor')
    expect(inboxes.length).toBeGreaterThan(0)
    const mine = await sue.call('conversation.list', { inboxId: inboxes.at(-1)?.id })
    const led = await server.running.parley.chat.db
      .selectFrom('inbox_member')
      .select('inbox_id')
      .where('person_id', '=', sue.userId)
      .where('role', '=', 'supervisor')
      .execute()
    expect(led).toHaveLength(1)
    expect(mine.conversations.length).toBeGreaterThan(0)
  })

  test('analytics count the closed conversations of whoever is an agent of the supervisor now', async () => {
    const ada = await nobody.person('admin')
    const { sam, alex, chat } = await team()
    const row = async (of: Client) =>
      (await ada.get('/admin/analytics')).body.data.find(
        (one: { supervisorId: string }) => one.supervisorId === of.id,
      )
    expect(await row(sam)).toEqual({
      supervisorId: sam.id,
      supervisorName: 'supervisor',
      agents: 1,
      conversationsHandled: 0,
    })
    await sam.assign(chat, alex)
    const socket = await connect(alex)
    await socket.join(chat)
    socket.say('CLOSE_CONVERSATION', { conversationId: chat })
    await socket.next()
    expect(await row(sam)).toMatchObject({ agents: 1, conversationsHandled: 1 })
    const { userId } = await native(alex)
    const inboxId = await server.running.parley.chat.db
      .selectFrom('inbox_member')
      .select('inbox_id')
      .where('person_id', '=', (await native(sam)).userId)
      .executeTakeFirstOrThrow()
    await owner.call('inboxMember.remove', { inboxId: inboxId.inbox_id, userId })
    expect(await row(sam)).toMatchObject({ agents: 0, conversationsHandled: 0 })
  })

  test('every door hears of the others: what is written, assigned and closed at the desk is heard in the room', async () => {
    const { sam, alex, chat, carlaHears, alexHears } = await talk()
    const conversationId = await nativeIdOf(chat)
    await owner.send(conversationId, 'From the desk')
    for (const socket of [carlaHears, alexHears])
      expect((await socket.next()).data).toMatchObject({ senderRole: 'agent', content: 'From the desk' })
    await owner.call('message.note', {
      conversationId,
      clientMessageId: crypto.randomUUID(),
      body: 'Among us',
    })
    carlaHears.send(chat, 'Thank you')
    expect((await alexHears.next()).data.content).toBe('Thank you')
    const read = await alex.get(`/conversations/${chat}`)
    expect(read.body.data.messages.map((one: { content: string }) => one.content)).toEqual([
      'From the desk',
      'Thank you',
    ])
    const ann = await nobody.person('agent', { supervisorId: sam.id })
    await owner.call('conversation.assign', { conversationId, userId: (await native(ann)).userId })
    expect(await alexHears.next()).toEqual({ event: 'LEFT_CONVERSATION', data: { conversationId: chat } })
    await owner.call('conversation.close', { conversationId })
    expect((await carlaHears.next()).event).toBe('CONVERSATION_CLOSED')
    expect(alexHears.heard).toEqual([])
  })

  test('a waiting conversation is in the agent’s list at the desk, still open, and theirs when they come', async () => {
    const { sam, alex, chat } = await team()
    await sam.assign(chat, alex)
    const conversationId = await nativeIdOf(chat)
    const { userId } = await native(alex)
    const waiting = await owner.call('conversation.get', { conversationId })
    expect(waiting.conversation).toMatchObject({ status: 'open', assigneeId: userId })
    const taken = await server.rest('POST', `/api/v1/conversations/${conversationId}/take`, {
      token: (await native(alex)).token,
    })
    expect(taken.body.conversation).toMatchObject({ status: 'assigned', assigneeId: userId })
    expect((await alex.get(`/conversations/${chat}`)).body.data.status).toBe('assigned')
  })

  test('whoever was replaced cannot come back in by writing, and no message opens what is closed', async () => {
    const { sam, chat, alex, alexHears, carlaHears, carla } = await talk()
    const ann = await nobody.person('agent', { supervisorId: sam.id })
    const reassigned = sam.assign(chat, ann)
    for (let i = 0; i < 50; i++) alexHears.send(chat, `alex ${i}`)
    await reassigned
    const upTo = (await carla.get(`/conversations/${chat}`)).body.data.messages.length
    for (let i = 0; i < 20; i++) alexHears.send(chat, 'late')
    await expect
      .poll(() => alexHears.heard.filter((frame) => frame.event === 'ERROR').length)
      .toBeGreaterThanOrEqual(20)
    const said = (await carla.get(`/conversations/${chat}`)).body.data.messages
    expect(said.slice(upTo).filter((one: { content: string }) => one.content === 'late')).toEqual([])
    const { participants } = await owner.call('participant.list', { conversationId: await nativeIdOf(chat) })
    const inside = participants.filter((one) => one.leftAt === null).map((one) => one.userId)
    expect(inside).not.toContain((await native(alex)).userId)
    const annHears = await connect(ann)
    annHears.say('CLOSE_CONVERSATION', { conversationId: chat })
    for (let i = 0; i < 30; i++) carlaHears.send(chat, `carla ${i}`)
    expect((await annHears.next()).event).toBe('CONVERSATION_CLOSED')
    await wait(200)
    expect((await carla.get(`/conversations/${chat}`)).body.data.status).toBe('closed')
  })

  test('a socket that has not heard yet that it is out, or that all is over, is refused by the store', async () => {
    const { chat, alex, carlaHears, alexHears } = await talk()
    const conversationId = await nativeIdOf(chat)
    const { db } = server.running.parley.chat
    const { userId } = await native(alex)
    const here = db.updateTable('participant').where('conversation_id', '=', conversationId)
    await here.set({ left_at: new Date().toISOString() }).where('person_id', '=', userId).execute()
    alexHears.send(chat, 'Am I still in?')
    expect((await alexHears.next()).data.message).toBe('You must join the conversation first')
    await db
      .updateTable('conversation')
      .set({ status: 'closed', closed_at: new Date().toISOString() })
      .where('id', '=', conversationId)
      .execute()
    carlaHears.send(chat, 'Does this open it again?')
    expect((await carlaHears.next()).data.message).toBe('You must join the conversation first')
    const row = await owner.call('conversation.get', { conversationId })
    expect(row.conversation.status).toBe('closed')
  })

  test('an HTTP close and an agent who comes at the same moment do not both win', async () => {
    const { sam, alex } = await team()
    const socket = await connect(alex)
    for (let i = 0; i < 12; i++) {
      const chat = await (await nobody.person('candidate')).open(sam)
      await sam.assign(chat, alex)
      const closing = sam.post(`/conversations/${chat}/close`)
      await wait(i % 4)
      socket.say('JOIN_CONVERSATION', { conversationId: chat })
      const { status, body } = await closing
      const joined = await socket.next()
      if (status === 200)
        expect(joined).toEqual({ event: 'ERROR', data: { message: 'Conversation already closed' } })
      else {
        expect(body.error).toBe('Cannot close conversation with status: assigned')
        expect(joined.data).toEqual({ conversationId: chat, status: 'assigned' })
      }
    }
  })

  test('logging out everywhere, being switched off and getting another role end within two seconds', async () => {
    const { alex, carla, chat, carlaHears, alexHears } = await talk()
    await server.rest('POST', '/api/v1/auth/logout', {
      token: (await native(carla)).token,
      body: { everywhere: true },
    })
    const told = await carlaHears.next(2_000)
    expect(told).toEqual({ event: 'ERROR', data: { message: 'Unauthorized or invalid token' } })
    await expect.poll(() => carlaHears.isClosed).toBe(true)
    expect((await carla.get('/auth/me')).body.error).toBe('Invalid token')
    await owner.call('user.update', { userId: (await native(alex)).userId, role: 'supervisor' })
    expect((await alexHears.next(2_000)).event).toBe('LEFT_CONVERSATION')
    alexHears.send(chat, 'Still an agent?')
    expect((await alexHears.next()).data.message).toBe('Forbidden for this role')
    expect((await alex.get('/auth/me')).body.data.role).toBe('supervisor')
    await owner.call('user.update', { userId: (await native(alex)).userId, active: false })
    expect((await alexHears.next(2_000)).data.message).toBe('Unauthorized or invalid token')
    expect((await alex.get('/auth/me')).body.error).toBe('User not found')
  })

  test('frames that come before the token was looked at are kept, and order is that of the socket', async () => {
    const { alexHears, carla, chat } = await talk()
    const socket = new WebSocket(`${nobody.base.replace(/^http/, 'ws')}/ws?token=${carla.token}`)
    socket.on('open', () => {
      socket.send(JSON.stringify({ event: 'JOIN_CONVERSATION', data: { conversationId: chat } }))
      for (let i = 0; i < 200; i++)
        socket.send(
          JSON.stringify({ event: 'SEND_MESSAGE', data: { conversationId: chat, content: `${i}` } }),
        )
      socket.send(JSON.stringify({ event: 'LEAVE_CONVERSATION', data: { conversationId: chat } }))
    })
    const said: string[] = []
    while (said.length < 200) said.push((await alexHears.next()).data.content)
    expect(said).toEqual(Array.from({ length: 200 }, (_, i) => `${i}`))
    socket.terminate()
  })

  test('any page may ask without credentials; upgrades elsewhere are answered with 400', async () => {
    const asked = await nobody.ask('OPTIONS', '/conversations', {
      headers: { origin: 'https://app.example', 'access-control-request-method': 'POST' },
    })
    expect(asked.status).toBe(204)
    expect(asked.headers.get('access-control-allow-origin')).toBe('*')
    expect(asked.headers.get('access-control-allow-credentials')).toBeNull()
    expect(asked.headers.get('access-control-allow-headers')).toContain('Authorization')
    const refused = await nobody.get('/auth/me', { origin: 'https://app.example' })
    expect(refused.headers.get('access-control-allow-origin')).toBe('*')
    for (const path of ['/', '/ws/', '/socket', '/ws/more']) {
      const status = await new Promise<number | undefined>((resolve) => {
        new WebSocket(`${root.replace(/^http/, 'ws')}${path}`)
          .on('unexpected-response', (_request, response) => resolve(response.statusCode))
          .on('open', () => resolve(101))
          .on('error', () => {})
      })
      expect(status, path).toBe(400)
    }
  })

  test('nothing of another workspace is found, and ids of other things are no conversation', async () => {
    const { carla, alex, sam, chat } = await talk()
    const elsewhere = await server.workspace()
    const other = await server.person('owner', 'Other', elsewhere.workspaceId)
    const theirs = await other.call('conversation.create', { kind: 'support', inboxId: elsewhere.inboxId })
    const { db } = server.running.parley.chat
    await db
      .insertInto('alias')
      .values({
        workspace_id: elsewhere.workspaceId,
        scheme: 'hex24',
        kind: 'conversation',
        id: theirs.conversation.id,
        name: 'aaaaaaaaaaaaaaaaaaaaaaaa',
      })
      .execute()
    const ada = await nobody.person('admin')
    for (const name of ['aaaaaaaaaaaaaaaaaaaaaaaa', carla.id, alex.id]) {
      expect(await ada.get(`/conversations/${name}`)).toMatchObject({
        status: 404,
        body: { success: false, error: 'Conversation not found' },
      })
    }
    expect((await sam.post(`/conversations/${chat}/assign`, { agentId: chat })).body.error).toBe(
      'Agent not found',
    )
    const list = (await ada.get('/conversations')).body.data.map((one: { _id: string }) => one._id)
    expect(list).toContain(chat)
    expect(list).not.toContain('aaaaaaaaaaaaaaaaaaaaaaaa')
  })

  test('bad input is refused in the shape of the dialect, never with a fault, and a healthy pair goes on talking', async () => {
    const { carla, sam, chat, carlaHears, alexHears } = await talk()
    const paths = ['/auth/signup', '/auth/login', '/conversations', `/conversations/${chat}/assign`]
    const bodies = [
      '{"a":',
      '"text"',
      'null',
      '[]',
      '7',
      '{"__proto__":{"role":"admin"},"constructor":1}',
      `${'['.repeat(5_000)}${']'.repeat(5_000)}`,
      '{"email":"\\ud800","password":"x","name":"x","role":"candidate","supervisorId":"\\ud800","agentId":"\\ud800"}',
      JSON.stringify({
        name: 'x'.repeat(500_000),
        email: 'a@b.c',
        password: 'password123',
        role: 'candidate',
      }),
      JSON.stringify({
        name: 'x',
        email: `${'a'.repeat(400_000)}@b.c`,
        password: 'x'.repeat(6),
        role: 'candidate',
      }),
      JSON.stringify({
        supervisorId: "' or 1=1 --",
        agentId: "' or 1=1 --",
        email: '{{7*7}}',
        password: '%',
      }),
      JSON.stringify({ supervisorId: 'f'.repeat(100_000), agentId: 'f'.repeat(100_000) }),
    ]
    const json = { 'content-type': 'application/json' }
    for (const who of [nobody, carla, sam]) {
      for (const path of paths)
        for (const body of bodies) {
          const answer = await who.post(path, body, json)
          expect(answer.status, `${path} ${body.slice(0, 80)}`).toBeGreaterThanOrEqual(400)
          expect(answer.status, `${path} ${body.slice(0, 80)}`).toBeLessThan(500)
          expect(Object.keys(answer.body)).toEqual(['success', 'error'])
          expect(JSON.stringify(answer.body)).not.toMatch(/node_modules|select |at .*\.ts/)
        }
    }
    const large = await nobody.post('/auth/login', `{"email":"${'x'.repeat(1_100_000)}"}`, json)
    expect(large).toMatchObject({ status: 413, body: { success: false, error: 'request entity too large' } })
    for (const id of ['%00', '%F0%9F%99%82', '..%2f..%2fetc', 'x'.repeat(599), "'%20or%201=1", '%24gt']) {
      const answer = await sam.get(`/conversations/${id}`)
      expect(answer.status, id).toBe(400)
      expect(answer.body.error).toMatch(/^Invalid _id: /)
    }
    const frames = [
      '[',
      '{}',
      '[]',
      '"x"',
      `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
      JSON.stringify({ event: 'SEND_MESSAGE', data: { conversationId: chat, content: '\ud800' } }),
      JSON.stringify({ event: 'SEND_MESSAGE', data: { conversationId: chat, content: 'x'.repeat(200_000) } }),
      JSON.stringify({ event: 'JOIN_CONVERSATION', data: { conversationId: { $gt: '' } } }),
      JSON.stringify({ event: 'CLOSE_CONVERSATION', data: { conversationId: chat } }),
      JSON.stringify({ event: { a: 1 } }),
      JSON.stringify({ event: 'LEAVE_CONVERSATION', data: { conversationId: '\u0000' } }),
      JSON.stringify({ event: 'hasOwnProperty' }),
    ]
    for (const frame of frames) {
      carlaHears.socket.send(frame)
      expect((await carlaHears.next()).event, frame.slice(0, 80)).toBe('ERROR')
    }
    carlaHears.socket.send(Buffer.from([0xff, 0xfe, 0x00]))
    expect((await carlaHears.next()).event).toBe('ERROR')
    carlaHears.send(chat, 'All is well')
    expect((await alexHears.next()).data.content).toBe('All is well')
    expect((await carla.get(`/conversations/${chat}`)).body.data.messages).toHaveLength(1)
  })

  test('what somebody said before the connection ended is still written', async () => {
    const { carla, chat } = await talk()
    const socket = new WebSocket(`${nobody.base.replace(/^http/, 'ws')}/ws?token=${carla.token}`)
    socket.on('open', () => {
      socket.send(JSON.stringify({ event: 'JOIN_CONVERSATION', data: { conversationId: chat } }))
      socket.send(JSON.stringify({ event: 'SEND_MESSAGE', data: { conversationId: chat, content: 'Bye' } }))
      socket.close()
    })
    await expect
      .poll(async () => (await carla.get(`/conversations/${chat}`)).body.data.messages)
      .toMatchObject([{ content: 'Bye' }])
  })

  test('a role in a path, a body or a query makes nobody more than they are', async () => {
    const { carla, alex, chat } = await talk()
    for (const who of [carla, alex]) {
      const closed = await who.post(`/conversations/${chat}/close?role=admin`, { role: 'admin' })
      expect(closed.status).toBe(403)
      expect((await who.get('/admin/analytics?role=admin')).status).toBe(403)
    }
    const { body } = await nobody.post('/auth/signup', {
      name: 'Eve',
      email: `eve-${crypto.randomUUID()}@example.com`,
      password: 'password123',
      role: 'candidate',
      workspaceId: 'x',
      verified: false,
      _id: 'ffffffffffffffffffffffff',
      isAdmin: true,
    })
    expect(body.data.role).toBe('candidate')
    expect(body.data._id).not.toBe('ffffffffffffffffffffffff')
  })
})

describe('on a server as it comes', () => {
  const secret = 'a registration secret for scripts'
  let server: TestServer
  let nobody: Client
  let owner: Person

  beforeAll(async () => {
    server = await startServer({
      env: {
        REGISTRATION_SECRET: secret,
        RATE_LIMIT: 'on',
        PARLEY_MOUNTS: 'livesupport:0?origins=https://app.example&expiresIn=10m',
      },
    })
    // Sign-ups are limited per address; what they may do is tried below the prefix, the limit at the port.
    nobody = new Client(`${server.url}/livesupport`)
    owner = await server.person('owner', 'Olga')
  }, 60_000)
  afterAll(() => server[Symbol.asyncDispose]())

  const signUp = (role: string, more: Record<string, unknown> = {}, headers: Record<string, string> = {}) =>
    nobody.post(
      '/auth/signup',
      { name: 'New', email: `${crypto.randomUUID()}@example.com`, password: 'password123', role, ...more },
      headers,
    )
  const people = async () =>
    (await server.running.parley.chat.db.selectFrom('person').select('id').execute()).length

  test('candidates sign up; staff need the secret, an invitation or an admin’s token, and a refusal stores nothing', async () => {
    expect((await signUp('candidate')).status).toBe(201)
    const before = await people()
    for (const role of ['supervisor', 'admin'])
      expect(await signUp(role)).toMatchObject({
        status: 403,
        body: { success: false, error: `Forbidden for role: ${role}` },
      })
    expect((await signUp('admin', {}, { 'x-registration-secret': 'wrong' })).status).toBe(403)
    expect(await people()).toBe(before)
    const sam = await signUp('supervisor', {}, { 'x-registration-secret': secret })
    expect(sam.body.data.role).toBe('supervisor')
    const supervisorId = sam.body.data._id
    expect((await signUp('agent', { supervisorId })).status).toBe(403)
    expect((await signUp('agent', { supervisorId, registrationSecret: secret })).status).toBe(201)
    const { token: invitation } = await owner.call('invitation.create', { role: 'agent' })
    expect((await signUp('agent', { supervisorId, invitation })).status).toBe(201)
    expect((await signUp('agent', { supervisorId, invitation })).status).toBe(403)
    const ada = await nobody.person('admin', { registrationSecret: secret })
    const vouched = { authorization: `Bearer ${ada.token}` }
    expect((await signUp('agent', { supervisorId }, vouched)).status).toBe(201)
    expect((await signUp('admin', {}, vouched)).status).toBe(403)
    const carla = await nobody.person('candidate')
    expect((await signUp('supervisor', {}, { authorization: `Bearer ${carla.token}` })).status).toBe(403)
  })

  test('the other modes hold here too', async () => {
    await owner.call('workspace.update', { registration: 'pending' })
    expect((await signUp('supervisor')).body.data.role).toBe('candidate')
    await owner.call('workspace.update', { registration: 'invite' })
    expect((await signUp('candidate')).body.error).toBe('Forbidden for role: candidate')
    await owner.call('workspace.update', { registration: 'closed' })
    expect((await signUp('admin', { registrationSecret: secret })).status).toBe(403)
    await owner.call('workspace.update', { registration: 'customer_only' })
  })

  test('only named pages may send credentials, and sign-in is limited per address, at a port too', async () => {
    const port = new Client(server.running.mounts[0]?.url ?? '')
    const from = async (origin: string) => (await port.get('/health', { origin })).headers
    expect((await from('https://app.example')).get('access-control-allow-origin')).toBe('https://app.example')
    expect((await from('https://app.example')).get('access-control-allow-credentials')).toBe('true')
    expect((await from('https://evil.example')).get('access-control-allow-origin')).toBeNull()
    const answers = []
    for (let i = 0; i < 32; i++) answers.push(await port.post('/auth/login', {}))
    expect(answers.at(-1)).toMatchObject({
      status: 429,
      body: { success: false, error: 'Too many requests, please try again later' },
    })
  })
})

test('tokens and passwords stand in no line of the log, however much is logged', async () => {
  await using server = await startChild({ env: { LOG_LEVEL: 'trace' } })
  const nobody = new Client(`${server.url}/livesupport`)
  const carla = await nobody.person('candidate')
  const token = carla.token ?? ''
  const socket = await carla.connect()
  socket.send('nothing', 'x')
  await socket.next()
  const refused = await LiveSocket.open(nobody.base, `${token}x`)
  await refused.next()
  await new Client(nobody.base).get(`/auth/me?token=${token}`)
  await nobody.post('/auth/login', '{"email":"x","password":"password123"', {
    'content-type': 'application/json',
  })
  for (const open of [socket, refused]) open.close()
  await server.stop()
  expect(server.log.length).toBeGreaterThan(0)
  const log = server.log.join('\n')
  expect(log).not.toContain(token.split('.')[2])
  expect(log).not.toContain('password123')
})
