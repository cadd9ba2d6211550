import type { IncomingHttpHeaders } from 'node:http'
import type { Event, Presence } from '@parley/protocol'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { Namespace } from 'socket.io'
import type { Actor } from '../chat/actor.ts'
import type { Chat } from '../chat/chat.ts'

/** One place where a dialect answers: for which workspace, below which path, with which options. */
export type Mount = {
  dialect: string
  workspaceId: string
  /** '/servicehub' on the main listener, '' where the dialect has a port or a host name of its own. */
  base: string
  options: Readonly<Record<string, string>>
}

/** What a dialect stands on, besides the verbs of `chat/` and the protocol. */
export type Door = {
  mount: Mount
  chat: Chat
  log: Logger
  /** Who is here, for people whom the caller may see. */
  presenceOf(userId: string): Presence
  /** Begins to hear for somebody. With `feed`, all of their conversations, receipts and typing included. */
  listen(ears: Ears, options: { feed: boolean }): Promise<Listening>
}

/** Somebody on a socket of a dialect. Calls come one at a time, in order: the next waits for a returned promise. */
export type Ears = {
  actor: Actor
  hear(event: Event): void | Promise<void>
  /** A conversation came into this person's lists. */
  gained?(conversationId: string): void | Promise<void>
  /** Who this is now; throws a Failure when the session has ended. Asked whenever rights may have changed. */
  reauthenticate(): Promise<Actor>
  /** The session has ended: tell the client in the dialect's own way and close. */
  ended(): void
}

export type Listening = {
  /** The person, with the rights of this moment. */
  readonly actor: Actor
  /** Hears a conversation as if in its room, from a position or from now on. The caller has checked the right. */
  follow(conversationId: string, after?: number): Promise<void>
  unfollow(conversationId: string): void
  /** Hears presence of these people, instead of those named before; returns how it is now. */
  watch(userIds: readonly string[]): Presence[]
  /** Resolves when everything heard so far has been dealt with. */
  settled(): Promise<void>
  end(): void
}

/** A raw WebSocket with a bounded queue: whoever does not read is ended, not waited for. */
export type TextSocket = {
  send(text: string): void
  close(code?: number, reason?: string): void
  onText(hear: (text: string) => void): void
  onClose(hear: () => void): void
}

export type SocketRequest = {
  path: string
  query: URLSearchParams
  headers: IncomingHttpHeaders
  address: string | null
}

/** Someone else's API, spoken by us: a folder with this as its face. */
export type Dialect = {
  name: string
  /** Options a mount may have, each with what it should be; anything else stops the start. */
  options: Record<string, RegExp>
  /** Routes, error shape, body parser and CORS, in a Fastify context of their own. */
  routes(app: FastifyInstance, door: Door): void | Promise<void>
  /** Raw WebSocket, for paths (below the base) that fit. */
  websocket?: { path: RegExp; accept(socket: TextSocket, request: SocketRequest, door: Door): void }
  /** What an upgrade on any other path of the dialect is answered with, where it has words of its own for that. */
  otherUpgrades?: string
  socketio?(namespace: Namespace, door: Door): void
  /** Pages that may send credentials with Socket.IO's requests; without it every page may ask, and none may send them. */
  socketPages?(mount: Mount): readonly string[]
}
