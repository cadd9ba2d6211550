import { randomBytes } from 'node:crypto'
import { SignJWT } from 'jose'
import { expect } from 'vitest'
import { idOfAlias } from '../../src/chat/aliases.ts'
import { idOf } from '../../src/dialects/priyo/ids.ts'
import { callOver, Person, type StartOptions, type TestServer } from '../../src/testing.ts'

const registrationSecret = randomBytes(24).toString('base64url')
const password = 'correct horse battery'

/** What a server of this cast is started with: scripts may register staff through every door. */
export const settings: StartOptions = { env: { REGISTRATION_SECRET: registrationSecret } }

/** Somebody who came through the door of a dialect: who they are natively, and how that dialect calls and admits them. */
export type Guest = Person & { id: string; key: string }

/** Everybody, and the names under which the dialects know the two conversations. */
export type Cast = Awaited<ReturnType<typeof makeCast>>

/**
 * One support conversation that four dialects and the native API share: a ServiceHub customer opened it in a business
 * (the same account is a candidate of Live Support), where an agent of ServiceHub works. A Priyo agent was brought in,
 * an agent of Live Support has it, and a CareForAll admin sees it as everything. TutorGo knows nothing but pairs whom a
 * booking joins, so it gets a conversation of its own; a CareForAll client of the same student shares that one.
 */
export async function makeCast(server: TestServer) {
  const olga = await server.person('owner', 'olga')
  const secret = randomBytes(32).toString('base64url')
  const trusted = { kind: 'hs256', secret, userIdClaim: 'userId', staffRoles: { ADMIN: 'admin' } } as const
  await olga.call('identityKey.create', trusted)
  const door = doorsOf(server)
  const account = (name: string) => ({ username: name, email: `${name}@shop.example`, password })
  const native = async (name: string, guest: { id: string; key: string }): Promise<Guest> => {
    const { email } = account(name)
    const { status, body } = await callOver(server.url, null, 'auth.login', { email, password })
    expect(status, JSON.stringify(body)).toBe(200)
    return Object.assign(new Person(server.url, body.user.id, name, body.tokens.accessToken), guest)
  }

  const business = await door.post('/servicehub/register-business', { name: 'Bakery' })
  const atServiceHub = async (name: string, path: string, more = {}) => {
    const { id } = await door.post(`/servicehub${path}`, { ...account(name), ...more })
    const { token } = await door.post('/servicehub/login', { username: name, password })
    return native(name, { id, key: token })
  }
  const cora = await atServiceHub('cora', '/register', { role: 'CUSTOMER' })
  const sam = await atServiceHub('sam', '/register-agent', { businessId: business.id })
  const { newParticipantEntry } = await door.post(
    '/servicehub/createClientChat',
    { businessId: business.id, conversationType: 'SUPPORT' },
    cora.key,
  )
  const chat: string = newParticipantEntry.conversationId
  const { db } = server.running.parley.chat
  const shared = (await idOfAlias(db, server.workspaceId, 'decimal', 'conversation', chat)) ?? ''
  const inboxId = (await idOfAlias(db, server.workspaceId, 'decimal', 'inbox', business.id)) ?? ''

  const registered = await door.post('/priyo/api/auth/register', { ...account('pia'), role: 'AGENT' })
  const pia = await native('pia', { id: registered.user.id, key: registered.tokens.accessToken })
  await olga.call('participant.add', { conversationId: shared, userId: pia.userId })

  const atLiveSupport = async (name: string) => {
    const { data } = await door.post('/livesupport/auth/login', {
      email: account(name).email,
      password,
    })
    return native(name, { id: '', key: data.token })
  }
  const lead = await door.post('/livesupport/auth/signup', {
    ...account('lena'),
    name: 'lena',
    role: 'supervisor',
  })
  const supervisorId = lead.data._id
  await door.post('/livesupport/auth/signup', {
    ...account('lee'),
    name: 'lee',
    role: 'agent',
    supervisorId,
  })
  const lee = await atLiveSupport('lee')
  await olga.call('inboxMember.put', { inboxId, userId: lee.userId })
  await olga.call('conversation.assign', { conversationId: shared, userId: lee.userId })
  const candidate = await atLiveSupport('cora')
  const { data } = await door.get('/livesupport/conversations', lee.key)

  const bySigning = async (userId: string, role: string): Promise<Guest> => {
    const key = await new SignJWT({ userId, role, email: `${userId}@school.example` })
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuedAt()
      .setExpirationTime('2h')
      .sign(Buffer.from(secret))
    const { body } = await callOver(server.url, null, 'auth.exchange', { token: key })
    return Object.assign(new Person(server.url, body.user.id, userId, body.tokens.accessToken), {
      id: userId,
      key,
    })
  }
  const carl = await bySigning('carl', 'ADMIN')
  const sue = await bySigning('sue', 'STUDENT')
  const tom = await bySigning('tom', 'TUTOR')
  await door.post(
    '/tutorgo/chat/bookings',
    { studentId: sue.id, tutorId: tom.id, status: 'confirmed' },
    olga.token,
  )
  return {
    ...{ olga, cora, candidate, sam, pia, lee, carl, sue, tom },
    shared: {
      id: shared,
      servicehub: chat,
      priyo: idOf(shared),
      careforall: `conv_${shared}`,
      livesupport: data[0]._id as string,
    },
    pair: `${sue.id}_${tom.id}`,
  }
}

/** Asks a dialect over HTTP and expects it to agree. */
export function doorsOf({ url }: { url: string }) {
  const ask = async (method: string, path: string, token?: string, body?: unknown) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        'x-registration-secret': registrationSecret,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token && { authorization: `Bearer ${token}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    expect(response.ok, `${method} ${path} answered ${response.status} ${text}`).toBe(true)
    return JSON.parse(text)
  }
  return {
    get: (path: string, token: string) => ask('GET', path, token),
    post: (path: string, body: unknown, token?: string) => ask('POST', path, token, body),
    patch: (path: string, token: string) => ask('PATCH', path, token),
    put: (path: string, token: string) => ask('PUT', path, token),
  }
}
