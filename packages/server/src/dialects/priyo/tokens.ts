import { randomUUID } from 'node:crypto'
import { errors as jose, jwtVerify, SignJWT } from 'jose'
import { type AccessClaims, keyFor } from '../../chat/access-tokens.ts'
import type { Chat } from '../../chat/chat.ts'
import { Failure } from '../../chat/failure.ts'
import type { PersonRow } from '../../chat/user-view.ts'
import { idOf, uuidOf } from './ids.ts'
import { roleOf } from './translate.ts'

/** Each kind has a key of its own, so that none is accepted in another's place. */
export type Kind = 'access' | 'refresh' | 'widget'

const kinds: Kind[] = ['access', 'refresh', 'widget']
const algorithm = 'HS256'
const widgetSeconds = 86_400

type Bearer = Pick<PersonRow, 'id' | 'email' | 'username' | 'name' | 'role'>
type Wire = { userId: string; sid: string; sv: number; demo?: boolean }

/** Tokens that clients of this dialect can read, over sessions of ours: what ends a session ends its tokens. */
export class TokenMint {
  readonly #chat: Chat
  readonly #workspaceId: string
  readonly #keys: Record<Kind, CryptoKey>
  readonly #seconds: Record<Kind, number>

  static async of(
    chat: Chat,
    workspaceId: string,
    lifetimes: { access: number; refresh: number },
  ): Promise<TokenMint> {
    const keys = await Promise.all(
      kinds.map(async (kind) => {
        const secret = await keyFor(chat, `priyo ${workspaceId} ${kind}`)
        const hmac = { name: 'HMAC', hash: 'SHA-256' }
        const key = await crypto.subtle.importKey('raw', new Uint8Array(secret), hmac, false, [
          'sign',
          'verify',
        ])
        return [kind, key] as const
      }),
    )
    return new TokenMint(chat, workspaceId, Object.fromEntries(keys) as Record<Kind, CryptoKey>, {
      ...lifetimes,
      widget: widgetSeconds,
    })
  }

  constructor(chat: Chat, workspaceId: string, keys: Record<Kind, CryptoKey>, seconds: Record<Kind, number>) {
    this.#chat = chat
    this.#workspaceId = workspaceId
    this.#keys = keys
    this.#seconds = seconds
  }

  /** `jti` makes two tokens of one second different ones. */
  sign(
    kind: Kind,
    person: Bearer,
    claims: AccessClaims,
    more: Record<string, unknown> = {},
  ): Promise<string> {
    const issuedAt = Math.floor(Date.now() / 1_000)
    return new SignJWT({
      userId: idOf(person.id),
      email: person.email,
      username: person.username ?? person.name,
      role: roleOf(person.role),
      ...more,
      sid: claims.sessionId,
      sv: claims.sessionVersion,
      ...(this.#chat.config.demo && { demo: true }),
    })
      .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
      .setJti(randomUUID())
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + this.#seconds[kind])
      .sign(this.#keys[kind])
  }

  /** What a token of ours says. Whether its session still stands is not said here. */
  async read(kind: Kind, token: string): Promise<AccessClaims> {
    try {
      const { payload } = await jwtVerify<Wire>(token, this.#keys[kind], {
        algorithms: [algorithm],
        requiredClaims: ['userId', 'sid', 'sv', 'jti', 'exp'],
      })
      const userId = uuidOf(payload.userId)
      if (!userId || (payload.demo && !this.#chat.config.demo)) throw new Failure('unauthenticated')
      return {
        workspaceId: this.#workspaceId,
        userId,
        sessionId: payload.sid,
        sessionVersion: payload.sv,
      }
    } catch (error) {
      throw error instanceof jose.JOSEError ? new Failure('unauthenticated') : error
    }
  }
}
