import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AccessClaims } from '../../chat/access-tokens.ts'
import { type Actor, mayGrant } from '../../chat/actor.ts'
import { type Chat, change } from '../../chat/chat.ts'
import { Failure } from '../../chat/failure.ts'
import { createInvitation, revokeInvitation } from '../../chat/invitations.ts'
import { personById } from '../../chat/people.ts'
import { type Registration, registerPerson } from '../../chat/registration.ts'
import { beginSession, exchangeRefreshToken, keepRefreshToken, logout } from '../../chat/sessions.ts'
import { checkCredentials, requireUnchanged } from '../../chat/sign-in.ts'
import type { PersonRow } from '../../chat/user-view.ts'
import { check, forms } from './forms.ts'
import type { Priyo } from './priyo.ts'
import { adminOnly, Refusal } from './refusals.ts'
import { account, fromRole, newAccount, roleOf } from './translate.ts'
import { callerOf, tokenOf, whoAsks, whoAsksOrGone } from './who.ts'

export function accountRoutes(app: FastifyInstance, priyo: Priyo): void {
  const { chat, workspaceId, door } = priyo

  app.post('/api/auth/register', async (request, reply) => {
    const given = check(forms.register, request.body)
    const asked: Registration = {
      workspaceId,
      name: String(given.username),
      username: String(given.username),
      email: String(given.email),
      password: String(given.password),
      role: fromRole(given.role),
      ...(given.registrationSecret !== undefined && { registrationSecret: String(given.registrationSecret) }),
      ...(given.invitation !== undefined && { invitation: String(given.invitation) }),
    }
    const { person, tokens } = await register(priyo, request, asked)
    return reply.code(201).send({ message: 'User registered successfully', user: newAccount(person), tokens })
  })

  app.post('/api/auth/login', async (request) => {
    const { email, password } = check(forms.login, request.body)
    const person = await checkCredentials(
      chat,
      callerOf(request),
      workspaceId,
      { email: String(email) },
      String(password),
    )
    const user = account(person, door.presenceOf(person.id))
    const tokens = await change(chat, async ({ db }) => {
      await requireUnchanged(db, person)
      return newTokens(priyo, db, person)
    })
    return { message: 'Login successful', user, tokens }
  })

  app.post('/api/auth/refresh', async (request) => {
    const refreshToken = String(check(forms.refresh, request.body).refreshToken)
    const tokens = await refresh(priyo, refreshToken)
    return { message: 'Tokens refreshed successfully', tokens }
  })

  app.post('/api/auth/logout', async (request) => {
    const { actor } = await whoAsks(priyo, request)
    await logout(chat, actor, { everywhere: true })
    return { message: 'Logout successful' }
  })

  app.get('/api/auth/me', { config: { priyo: { missing: 'User not found' } } }, async (request) => {
    const known = await whoAsksOrGone(priyo, request)
    if (known === 'gone') throw new Refusal(404, 'User not found')
    const person = await personById(chat.db, workspaceId, known.actor.userId)
    return { user: account(person, door.presenceOf(person.id)) }
  })
}

type Entered = { person: PersonRow; tokens: TokenPair }
type TokenPair = { accessToken: string; refreshToken: string }

/** As the workspace allows. An admin's token lets in whom that admin may make: an invitation, used at once. */
async function register(priyo: Priyo, request: FastifyRequest, asked: Registration): Promise<Entered> {
  const admin = await adminBehind(priyo, request)
  const isLent = admin !== null && asked.invitation === undefined && mayGrant(admin, asked.role ?? 'contact')
  const lent = isLent
    ? await createInvitation(priyo.chat, admin, { role: asked.role ?? 'contact', email: asked.email ?? '' })
    : null
  try {
    const invited = lent ? { ...asked, invitation: lent.token } : asked
    return await registerPerson(priyo.chat, callerOf(request), invited, async ({ db }, person) => ({
      person,
      tokens: await newTokens(priyo, db, person),
    }))
  } catch (error) {
    if (lent && admin) await revokeInvitation(priyo.chat, admin, { invitationId: lent.invitation.id })
    const isRefused = error instanceof Failure && error.code === 'registration_refused'
    throw isRefused ? adminOnly(admin && roleOf(admin.role)) : error
  }
}

async function adminBehind(priyo: Priyo, request: FastifyRequest): Promise<Actor | null> {
  if (!tokenOf(request)) return null
  try {
    return (await whoAsks(priyo, request)).actor
  } catch (error) {
    if (error instanceof Failure) return null
    throw error
  }
}

async function newTokens(priyo: Priyo, db: Chat['db'], person: PersonRow): Promise<TokenPair> {
  return issue(priyo, db, person, await beginSession(db, person))
}

async function issue(
  priyo: Priyo,
  db: Chat['db'],
  person: PersonRow,
  claims: AccessClaims,
): Promise<TokenPair> {
  const accessToken = await priyo.tokens.sign('access', person, claims)
  const refreshToken = await priyo.tokens.sign('refresh', person, claims)
  await keepRefreshToken(db, claims, refreshToken)
  return { accessToken, refreshToken }
}

/** Signed by us and in time, or invalid; and then good once, or it was not found. */
async function refresh(priyo: Priyo, refreshToken: string): Promise<TokenPair> {
  const claims = await priyo.tokens.read('refresh', refreshToken).catch((error: unknown) => {
    throw error instanceof Failure ? new Refusal(403, 'Invalid refresh token') : error
  })
  try {
    return await exchangeRefreshToken(
      priyo.chat,
      priyo.workspaceId,
      refreshToken,
      async (db, holder, sessionId) =>
        issue(priyo, db, await personById(db, priyo.workspaceId, holder.id), {
          ...claims,
          sessionId,
          sessionVersion: holder.session_version,
        }),
    )
  } catch (error) {
    const isSpent =
      error instanceof Failure && (error.code === 'unauthenticated' || error.code === 'refresh_reused')
    throw isSpent ? new Refusal(403, 'Refresh token expired or not found') : error
  }
}
