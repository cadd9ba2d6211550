import type { FastifyRequest } from 'fastify'
import { isConversation, standingOf } from '../../chat/access.ts'
import type { Actor } from '../../chat/actor.ts'
import { Failure } from '../../chat/failure.ts'
import type { Caller } from '../../chat/sessions.ts'
import { type Side, sideOf } from '../../chat/sides.ts'
import type { Door } from '../door.ts'
import { names } from './names.ts'
import { refusals } from './refusals.ts'
import { holdersAt } from './sockets.ts'
import { type Claims, type Holder, holderOf, readToken } from './tokens.ts'

export const cookieName = 'servicehub_session'

/** Who asks, found before anybody looks at path or body. */
export class Entrance {
  readonly #door: Door
  readonly #origins: readonly string[]
  readonly #holders = new WeakMap<FastifyRequest, Holder>()

  constructor(door: Door, origins: readonly string[]) {
    this.#door = door
    this.#origins = origins
  }

  /** For routes that need the header. */
  token = async (request: FastifyRequest): Promise<void> => {
    const claims = await this.claims(request)
    this.#holders.set(request, await holderOf(this.#door, claims, callerOf(request)))
  }

  /** For routes whose old clients send no header: the cookie of the same origin serves, and perhaps a socket. */
  conversation = async (request: FastifyRequest): Promise<void> => {
    if (request.headers.authorization !== undefined) return this.token(request)
    const cookie = this.#cookieOf(request)
    if (cookie) {
      const claims = await readToken(this.#door, cookie)
      this.#holders.set(request, await holderOf(this.#door, claims, callerOf(request)))
      return
    }
    if (this.#isLegacy && holdersAt(this.#door, request.ip).length > 0) return
    throw refusals.noToken()
  }

  async claims(request: FastifyRequest): Promise<Claims> {
    const header = request.headers.authorization ?? ''
    if (!header.startsWith('Bearer ')) throw refusals.noToken()
    return readToken(this.#door, header.slice('Bearer '.length))
  }

  /** The holder of the request's token. */
  holder(request: FastifyRequest): Holder {
    const holder = this.#holders.get(request)
    if (!holder) throw refusals.noToken()
    return holder
  }

  /**
   * Who asks about a conversation. Without a token it is whoever of its people is connected from the same address;
   * when the request says who, only that one, and when it says for which side, one of these if there is any.
   */
  async visitor(
    request: FastifyRequest,
    { conversationId, named, side }: { conversationId?: string; named?: string; side?: Side | undefined },
  ): Promise<Holder> {
    const holder = this.#holders.get(request)
    if (holder) return holder
    const isOther = ({ actor }: Holder) => Number(side !== undefined && sideOf(actor.role) !== side)
    const candidates = this.possible(request).toSorted((a, b) => isOther(a) - isOther(b))
    for (const candidate of candidates) {
      if (named !== undefined && candidate.id !== named) continue
      if (conversationId === undefined || (await this.#sees(candidate, conversationId))) return candidate
    }
    throw candidates.length > 0 ? refusals.notAParticipant() : refusals.noToken()
  }

  /** Everybody who may stand behind a request: with a token, its holder alone. */
  possible(request: FastifyRequest): Holder[] {
    const holder = this.#holders.get(request)
    if (holder) return [holder]
    return this.#isLegacy ? holdersAt(this.#door, request.ip) : []
  }

  get #isLegacy(): boolean {
    return this.#door.mount.options.anonymousConversationRoutes === 'legacy'
  }

  async #sees({ actor }: Holder, conversationId: string): Promise<boolean> {
    return standingOf(this.#door.chat.db, actor, conversationId).then(
      () => true,
      (error: unknown) => {
        if (error instanceof Failure) return false
        throw error
      },
    )
  }

  /** A cookie that came with a page of another origin, even of the same site, is not that page's to use. */
  #cookieOf({ headers }: FastifyRequest): string | undefined {
    const { origin, host, cookie = '' } = headers
    const isOwn = origin === undefined || this.#origins.includes(origin) || hostOf(origin) === host
    return isOwn ? new RegExp(`(?:^|;\\s*)${cookieName}=([^;\\s]+)`).exec(cookie)?.[1] : undefined
  }
}

/** The conversation of a name in a path or body; what nobody calls so, and what was deleted, is not there. */
export async function conversationOf(door: Door, name: string): Promise<string> {
  const conversationId = await names.idOf(door, 'conversation', name)
  if (!conversationId) throw refusals.noSuchConversation()
  return conversationId
}

/** Told apart here as nowhere else: a conversation of others, and none at all. */
export async function standIn(door: Door, actor: Actor, conversationId: string) {
  try {
    return await standingOf(door.chat.db, actor, conversationId)
  } catch (error) {
    throw await notYours(door, conversationId, error)
  }
}

/** What a verb's "nothing here" means to this dialect's clients. */
export async function notYours(door: Door, conversationId: string, error: unknown): Promise<unknown> {
  if (!(error instanceof Failure) || error.code !== 'not_found') return error
  const { chat, mount } = door
  const exists = await isConversation(chat.db, mount.workspaceId, conversationId)
  return exists ? refusals.notAParticipant() : refusals.noSuchConversation()
}

export function callerOf({ ip, headers }: FastifyRequest): Caller {
  const secret = headers['x-registration-secret']
  return {
    address: ip,
    origin: headers.origin ?? null,
    registrationSecret: typeof secret === 'string' ? secret : null,
  }
}

const hostOf = (origin: string) => (URL.canParse(origin) ? new URL(origin).host : null)
