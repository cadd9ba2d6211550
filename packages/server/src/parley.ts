import type { Logger } from 'pino'
import type { Chat } from './chat/chat.ts'
import type { Metrics } from './metrics.ts'
import type { Hub } from './realtime/hub.ts'
import type { Presence } from './realtime/presence.ts'
import type { Sweep } from './realtime/sweep.ts'

/** A realtime peer, as the server sees it when it counts, beats and stops. */
export type Peer = {
  readonly isBusy: boolean
  /** Something it was told has not left yet. */
  readonly hasUnsent: boolean
  beat(cursor: string): void
  /** Ends it if it has been silent for too long. */
  reap(): void
  sayGoodbye(withinMs: number): void
  close(reason: 'restarting'): void
}

/** The parts of a running server, for the doors. Put together in `app.ts`. */
export type Parley = {
  chat: Chat
  hub: Hub
  presence: Presence
  sweep: Sweep
  peers: Set<Peer>
  metrics: Metrics
  log: Logger
  /** Set when the server has been asked to stop: no new connections, `/ready` says no. */
  isDraining: boolean
}
