import type { InputOf, Session, User, Workspace } from '@parley/protocol'
import type { Credentials, ParleyStorage } from './api.ts'
import { errorFrom, ParleyError } from './error.ts'
import { http } from './http.ts'
import { alone, memoryStorage } from './storage.ts'
import { Cell, type Store } from './store.ts'
import { teamRoutes } from './team-routes.ts'

/**
 * `@parley/client/staff`: credentials of the team, apart from the rest because a visitor's page needs none of it.
 * They bring the routes of the team's own operations, so `parley.call` knows all of them.
 *
 * - a staff session: e-mail and password once, then a short access token and a refresh token that is good for one
 *   use. Using one twice ends the session, so tabs take turns (Web Locks), and each looks first whether another tab
 *   has already swapped it. No clock is consulted: a token is good until the server says otherwise.
 * - an API key: a token that stays as it is.
 */
/** For programs. */
export const apiKey = (token: string): Credentials => ({ accessToken: async () => token, routes: teamRoutes })

export type SessionState =
  | { readonly state: 'signed-out' }
  | { readonly state: 'signed-in'; readonly user: User; readonly workspace: Workspace }

export type StaffSessionOptions = {
  baseUrl: string
  /** Default memory: signed out by a reload. */
  storage?: ParleyStorage
  /** Default 'parley'. */
  namespace?: string
  fetch?: typeof fetch
}

export interface StaffSession extends Credentials {
  readonly state: Store<SessionState>
  login(input: InputOf<'auth.login'>): Promise<Session>
  register(input: InputOf<'auth.register'>): Promise<Session>
  /** First owner, with the token that the server printed. */
  claim(input: InputOf<'setup.claim'>): Promise<Session>
  /** Take over a session that was got in another way. */
  accept(session: Session): void
  /** Told to the server if it can be reached; forgotten here in any case. */
  logout(everywhere?: boolean): Promise<void>
}

export function staffSession(options: StaffSessionOptions): StaffSession {
  const { storage = memoryStorage(), namespace = 'parley' } = options
  const key = `${namespace}:session`
  const rest = http(options)
  const stored = () => parse<Session>(storage.get(key))
  const shown = (session: Session | null): SessionState =>
    session
      ? { state: 'signed-in', user: session.user, workspace: session.workspace }
      : { state: 'signed-out' }
  const state = new Cell(shown(stored()))
  let refreshing: Promise<string> | null = null

  function keep(session: Session | null) {
    const before = state.get()
    if (session) storage.set(key, JSON.stringify(session))
    else storage.remove(key)
    if (!session || before.state !== 'signed-in' || before.user.id !== session.user.id)
      state.set(shown(session))
  }

  async function enter(path: string, body: object) {
    const session = (await rest.request('POST', path, { body })) as Session
    keep(session)
    return session
  }

  async function refresh(refused: string) {
    const session = stored()
    if (!session) {
      keep(null)
      throw signedOut()
    }
    if (session.tokens.accessToken !== refused) return session.tokens.accessToken
    try {
      const tokens = (await rest.request('POST', '/auth/refresh', {
        body: { refreshToken: session.tokens.refreshToken },
      })) as Session['tokens']
      keep({ ...session, tokens })
      return tokens.accessToken
    } catch (error) {
      const failed = errorFrom(error)
      if (failed.status === 401 && stored()?.tokens.refreshToken === session.tokens.refreshToken) keep(null)
      throw failed
    }
  }

  return {
    routes: teamRoutes,
    state,
    userId: () => stored()?.user.id ?? null,
    login: (input) => enter('/auth/login', input),
    register: (input) => enter('/auth/register', input),
    claim: (input) => enter('/setup', input),
    accept: keep,
    async accessToken(refused) {
      const token = stored()?.tokens.accessToken
      if (token && token !== refused) return token
      refreshing ??= alone(`${key}:refresh`, () => refresh(refused ?? '')).finally(() => {
        refreshing = null
      })
      return refreshing
    },
    async logout(everywhere = false) {
      const token = stored()?.tokens.accessToken
      keep(null)
      if (token) await rest.request('POST', '/auth/logout', { token, body: { everywhere } }).catch(() => {})
    },
  }
}

const signedOut = () => new ParleyError('unauthenticated', 'Sign in first.', false, 401)

function parse<T>(text: string | null): T | null {
  try {
    return text ? (JSON.parse(text) as T) : null
  } catch {
    return null
  }
}
