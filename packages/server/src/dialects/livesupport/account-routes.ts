import { limits } from '@parley/protocol'
import type { FastifyInstance, FastifyRequest, RouteShorthandOptions } from 'fastify'
import { isAdmin } from '../../chat/actor.ts'
import { change } from '../../chat/chat.ts'
import { Failure } from '../../chat/failure.ts'
import { createInvitation } from '../../chat/invitations.ts'
import { personById } from '../../chat/people.ts'
import { isEmailTaken, registerPerson } from '../../chat/registration.ts'
import { beginSession } from '../../chat/sessions.ts'
import { checkCredentials } from '../../chat/sign-in.ts'
import { joinTeam, teamOf } from '../../chat/teams.ts'
import type { PersonRow } from '../../chat/user-view.ts'
import type { Door } from '../door.ts'
import { idOf, nameOf } from './names.ts'
import { Refusal, refusals } from './refusals.ts'
import { signToken } from './tokens.ts'
import { fromRole, textIn, toRole, toUser } from './translate.ts'
import { bearerOf, callerOf, whoAsks } from './who.ts'

/** Signing up, logging in, and who one is. */
export function accountRoutes(app: FastifyInstance, door: Door): void {
  const { chat, mount } = door
  const guarded: RouteShorthandOptions = chat.config.rateLimit
    ? { config: { rateLimit: { max: 30, timeWindow: 60_000 } } }
    : {}

  app.post('/auth/signup', guarded, async (request, reply) => {
    const person = await signUp(door, request)
    return reply
      .code(201)
      .send({ success: true, data: toUser(person, await nameOf(door, 'person', person.id)) })
  })

  app.post('/auth/login', guarded, async (request) => {
    const { body } = request
    const [email, password] = [textIn(body, 'email'), textIn(body, 'password')]
    if (!email || !password) throw refusals.loginFields()
    const person = await checkCredentials(
      chat,
      callerOf(request),
      mount.workspaceId,
      { email: email.trim() },
      password,
    )
    const claims = await change(chat, ({ db }) => beginSession(db, person))
    return { success: true, data: { token: await signToken(door, person, claims) } }
  })

  app.get('/auth/me', async (request) => {
    const actor = await whoAsks(door, request)
    const person = await personById(chat.db, actor.workspaceId, actor.userId)
    return { success: true, data: toUser(person, await nameOf(door, 'person', person.id)) }
  })
}

/** Checks in the order that clients know: what is missing, who it is for, whether it may be, and only then how it is. */
async function signUp(door: Door, request: FastifyRequest): Promise<PersonRow> {
  const { chat, mount } = door
  const { body } = request
  const [name, email, password, role] = ['name', 'email', 'password', 'role'].map((field) =>
    textIn(body, field),
  )
  if (!name || !email || !password || !role) throw refusals.signupFields()
  const wanted = fromRole(role)
  if (!wanted) throw refusals.badRole()
  const supervisor = wanted === 'agent' ? await supervisorIn(door, body) : null
  const asked = {
    workspaceId: mount.workspaceId,
    name: name.trim(),
    email: email.trim().toLowerCase(),
    password,
    role: wanted,
    invitation: textIn(body, 'invitation') ?? (await sponsored(door, request, wanted)),
    registrationSecret: textIn(body, 'registrationSecret'),
  }
  const check = async () => {
    const faults = faultsOf(asked)
    if (faults.length === 0) return
    throw (await isEmailTaken(chat.db, mount.workspaceId, asked.email))
      ? refusals.emailTaken()
      : refusals.faults(faults)
  }
  try {
    return await registerPerson(
      chat,
      callerOf(request),
      asked,
      async (change, person) => {
        // Where an admin has yet to decide about the role, there is no team to lead or to work in.
        if (person.role === 'supervisor') await teamOf(change, person)
        if (person.role === 'agent' && supervisor) await joinTeam(change, person, supervisor)
        return person
      },
      { check },
    )
  } catch (error) {
    const isRefused = error instanceof Failure && error.code === 'registration_refused'
    throw isRefused ? refusals.role(toRole(wanted)) : error
  }
}

async function supervisorIn(door: Door, body: unknown): Promise<PersonRow> {
  const name = textIn(body, 'supervisorId')
  if (!name) throw refusals.noSupervisorOfAgent()
  const person = await personOf(door, name)
  if (person?.role !== 'supervisor') throw refusals.badSupervisor()
  return person
}

/** Somebody who has an account that is not switched off. */
export async function personOf(door: Door, name: string): Promise<PersonRow | null> {
  const id = await idOf(door, 'person', name)
  if (!id) return null
  const person = await personById(door.chat.db, door.mount.workspaceId, id)
  return person.deactivated_at === null ? person : null
}

/** An admin who signs somebody of the team up vouches for them: their token stands for an invitation. */
async function sponsored(
  door: Door,
  request: FastifyRequest,
  role: 'admin' | 'supervisor' | 'agent' | 'contact',
): Promise<string | undefined> {
  if (role === 'contact' || !bearerOf(request)) return undefined
  try {
    const sponsor = await whoAsks(door, request)
    if (!isAdmin(sponsor)) return undefined
    const { token } = await createInvitation(door.chat, sponsor, { role, hours: 1 })
    return token
  } catch (error) {
    if (error instanceof Refusal || error instanceof Failure) return undefined
    throw error
  }
}

const emailForm = /^[^\s@]+@[^\s@]+\.[^\s@]+$/

function faultsOf({ name, email, password }: { name: string; email: string; password: string }): string[] {
  const faults: string[] = []
  if (name.length > limits.nameLength) faults.push(`Name must be at most ${limits.nameLength} characters`)
  if (!emailForm.test(email) || email.length > limits.emailLength)
    faults.push('Please use a valid email address')
  if (password.length < 6) faults.push('Password must be at least 6 characters')
  if (password.length > limits.passwordLength)
    faults.push(`Password must be at most ${limits.passwordLength} characters`)
  return faults
}
