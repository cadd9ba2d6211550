import { limits } from '@parley/protocol'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { requireRank } from '../../chat/actor.ts'
import { change } from '../../chat/chat.ts'
import { Failure } from '../../chat/failure.ts'
import { joinInbox } from '../../chat/inbox-members.ts'
import { createInbox, inboxesOfKind, requireInbox } from '../../chat/inboxes.ts'
import { peopleByIds } from '../../chat/people.ts'
import { registerInbox, registerPerson } from '../../chat/registration.ts'
import { authenticate, beginSession } from '../../chat/sessions.ts'
import { checkCredentials } from '../../chat/sign-in.ts'
import type { Door } from '../door.ts'
import { bodyOf, proofsOf, requiredText, textOf } from './bodies.ts'
import { callerOf, cookieName, type Entrance } from './entrance.ts'
import { names } from './names.ts'
import { Refusal, refusals } from './refusals.ts'
import { holderOf, readToken, signToken } from './tokens.ts'
import { roleOf } from './translate.ts'

/** What inboxes of this dialect are called in the core; only these are shown to everybody. */
export const business = 'business'

/** Who somebody is, and how they become it. */
export function accountRoutes(app: FastifyInstance, door: Door, entrance: Entrance): void {
  const { chat, mount } = door
  const limited = chat.config.rateLimit ? { config: { rateLimit: { max: 30, timeWindow: 60_000 } } } : {}

  app.post('/register', limited, async (request) => {
    const body = bodyOf(request.body)
    const account = accountOf(body)
    const role = textOf(body, 'role', limits.nameLength) ?? 'CUSTOMER'
    if (role !== 'CUSTOMER' && role !== 'AGENT') throw refusals.invalidRole()
    const person = await registerPerson(
      chat,
      callerOf(request),
      { ...account, workspaceId: mount.workspaceId, role: role === 'AGENT' ? 'agent' : 'contact' },
      async (_change, made) => made,
    )
    const id = await names.of(door, 'person', person.id)
    return { id, username: person.username, email: person.email, role: roleOf(person.role) }
  })

  app.post('/register-agent', limited, async (request) => {
    const body = bodyOf(request.body)
    const account = accountOf(body)
    const businessId = textOf(body, 'businessId')
    if (businessId === undefined) throw refusals.noBusinessId()
    const inboxId = await businessOf(door, businessId)
    const person = await registerPerson(
      chat,
      callerOf(request),
      { ...account, workspaceId: mount.workspaceId, role: 'agent' },
      async (change, made) => {
        await joinInbox(change, made, inboxId)
        return made
      },
    )
    const id = await names.of(door, 'person', person.id)
    return { id, username: person.username, email: person.email }
  })

  app.post('/register-business', limited, async (request) => {
    const body = bodyOf(request.body)
    const name = requiredText(body, 'name', limits.nameLength)
    const inbox = await foundBusiness(door, request, { name, ...proofsOf(body) })
    return { id: await names.of(door, 'inbox', inbox.id), name: inbox.name }
  })

  app.post('/login', limited, async (request, reply) => {
    const body = bodyOf(request.body)
    const { username, password } = body
    if (!isText(username) || !isText(password)) throw refusals.credentialsRequired()
    const person = await checkCredentials(chat, callerOf(request), mount.workspaceId, { username }, password)
    const session = await change(chat, ({ db }) => beginSession(db, person))
    const id = await names.of(door, 'person', person.id)
    const token = await signToken(
      door,
      { id, username: person.username ?? person.name, role: roleOf(person.role) },
      session,
    )
    const secure = request.protocol === 'https' ? '; Secure' : ''
    reply.header(
      'Set-Cookie',
      `${cookieName}=${token}; Path=${mount.base || '/'}; Max-Age=3600; HttpOnly; SameSite=Strict${secure}`,
    )
    return { token }
  })

  app.get('/getUserDetails', { config: { broken: refusals.detailsBroken } }, async (request) => {
    const claims = await entrance.claims(request)
    const [person] = await peopleByIds(chat.db, mount.workspaceId, [claims.userId])
    if (!person || person.deactivated_at !== null) throw refusals.userNotFound()
    const { actor } = await holderOf(door, claims, callerOf(request))
    const [inboxId] = actor.inboxIds
    const inbox = inboxId && (await requireInbox(chat.db, mount.workspaceId, inboxId))
    return {
      id: claims.id,
      username: person.username ?? person.name,
      role: roleOf(actor.role),
      ...(inbox && { businessName: inbox.name }),
    }
  })

  app.get('/getAllBusinesses', async () => {
    const inboxes = await inboxesOfKind(chat.db, mount.workspaceId, business)
    const ids = await names.ofAll(
      door,
      'inbox',
      inboxes.map((inbox) => inbox.id),
    )
    return {
      success: true,
      businesses: inboxes.map((inbox) => ({ id: ids.get(inbox.id) ?? '', name: inbox.name })),
    }
  })

  app.get('/health', async () => ({ status: 'ok' }))
}

/** The inbox that a business id names. */
export async function businessOf(door: Door, businessId: string): Promise<string> {
  const inboxId = await names.idOf(door, 'inbox', businessId)
  if (!inboxId) throw refusals.noSuchBusiness(businessId.slice(0, 100))
  return inboxId
}

function accountOf(body: Readonly<Record<string, unknown>>) {
  const username = requiredText(body, 'username', limits.nameLength)
  const email = requiredText(body, 'email', limits.emailLength)
  const password = requiredText(body, 'password', limits.passwordLength)
  return { name: username, username, email, password, ...proofsOf(body) }
}

/** With a token of theirs, admins found a business in every mode; without, the workspace's mode decides. */
async function foundBusiness(
  door: Door,
  request: FastifyRequest,
  asked: { name: string; registrationSecret?: string },
) {
  const { chat, mount } = door
  const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
  if (bearer !== undefined) {
    const actor = await operatorOf(door, request, bearer)
    requireRank(actor, 'admin')
    return createInbox(chat, actor, { name: asked.name, kind: business })
  }
  if (mount.options.businessSignup === 'operator') throw refusals.notAnOperator()
  return registerInbox(chat, callerOf(request), { ...asked, workspaceId: mount.workspaceId, kind: business })
}

/** A token of this dialect, or of the API: whoever runs the workspace may have either. */
async function operatorOf(door: Door, request: FastifyRequest, bearer: string) {
  const caller = callerOf(request)
  try {
    return (await holderOf(door, await readToken(door, bearer), caller)).actor
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
  }
  const actor = await authenticate(door.chat, bearer, caller)
  if (actor.workspaceId !== door.mount.workspaceId) throw new Failure('unauthenticated')
  return actor
}

const isText = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= limits.messageBytes
