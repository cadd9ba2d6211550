import type { ResultOf, User } from '@parley/protocol'
import type { Credentials, ParleyStorage } from './api.ts'
import { http } from './http.ts'
import { alone, memoryStorage } from './storage.ts'
import { Cell, type Store } from './store.ts'

/**
 * A visitor: the `visitorToken` of this browser (and, if the site signs one, an identity) for an access token, as
 * often as needed. No clock is consulted: a token is good until the server says otherwise. Staff: `staff.ts`.
 */
export type VisitorSessionOptions = {
  baseUrl: string
  widgetKey: string
  /** Keeps the visitor token: without it a reload is a new visitor. Default memory. */
  storage?: ParleyStorage
  namespace?: string
  /** A JWT signed by the site's server, or how to get a fresh one. */
  identity?: string | (() => string | Promise<string>)
  /** What an unidentified visitor likes to be called. */
  name?: string
  fetch?: typeof fetch
}

export type VisitorAnswer = ResultOf<'widget.session'>

export interface VisitorSession extends Credentials {
  /** The user behind the session and the inbox it writes to; null before the first token. */
  readonly state: Store<{ readonly user: User; readonly inboxId: string } | null>
  /** Begin or continue now. `accessToken` does it by itself. */
  open(): Promise<VisitorAnswer>
  /** Another identity from now on (null: none). Reconnect afterwards: `parley.reconnect()`. */
  identify(identity: VisitorSessionOptions['identity'] | null, name?: string): void
  /** Forget this browser's visitor; the next token belongs to a new one. */
  forget(): void
}

export function visitorSession(options: VisitorSessionOptions): VisitorSession {
  const { storage = memoryStorage(), namespace = 'parley', widgetKey } = options
  const key = `${namespace}:visitor:${widgetKey}`
  const rest = http(options)
  const state = new Cell<{ user: User; inboxId: string } | null>(null)
  let { identity, name } = options
  let token: string | null = null
  let opening: Promise<VisitorAnswer> | null = null

  // Alone, because two tabs that open for the first time together would become two visitors.
  const open = () => {
    const mine = alone(key, async () => {
      const proof = typeof identity === 'function' ? await identity() : identity
      const visitorToken = storage.get(key) ?? undefined
      const body = { visitorToken, identity: proof, name }
      const path = `/widget/${encodeURIComponent(widgetKey)}/session`
      const answer = (await rest.request('POST', path, { body })) as VisitorAnswer
      if (opening === mine) {
        storage.set(key, answer.visitorToken)
        token = answer.accessToken
        state.set({ user: answer.user, inboxId: answer.inboxId })
      }
      return answer
    }).finally(() => {
      if (opening === mine) opening = null
    })
    opening = mine
    return mine
  }

  function begin() {
    token = null
    opening = null
    state.set(null)
  }

  return {
    state,
    userId: () => state.get()?.user.id ?? null,
    open: () => opening ?? open(),
    accessToken: async (refused) =>
      token && token !== refused ? token : (await (opening ?? open())).accessToken,
    identify(next, nextName) {
      identity = next ?? undefined
      name = nextName ?? name
      begin()
    },
    forget() {
      storage.remove(key)
      begin()
    },
  }
}
