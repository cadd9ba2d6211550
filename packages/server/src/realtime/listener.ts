import type { Actor } from '../chat/actor.ts'
import type { LoggedEntry } from '../chat/chat.ts'
import type { Frame } from './frame.ts'

/** Somebody who listens on this node: a connection of ours, or a dialect's socket. */
export type Listener = {
  readonly actor: Actor
  /** Hears receipts and typing of its whole feed, its own typing included, and not only of what it follows. */
  readonly hearsAll?: boolean
  /** Takes a frame; must not throw and must not wait. */
  hear(frame: Frame): void
  /** So much waits for it that it should not be told more of the past before `drained`. */
  readonly isCongested?: boolean
  /** Resolves when frames heard so far have mostly left, so that a long catch-up does not pile up. */
  drained(): Promise<void>
  /** What this person may do has changed: look again. May resolve when that was done. */
  recheck(): void | Promise<void>
  /** A conversation came into this listener's lists. May resolve when its row has been told. */
  gained(conversationId: string): void | Promise<void>
  /** This person takes part no longer. They are out of the feed, and a contact hears no more of it at all. */
  parted?(conversationId: string): void
}

/** Where the hub reads what it was not told. */
export type LogReader = (
  conversation: { workspaceId: string; id: string },
  after: number,
  limit: number,
) => Promise<{ entries: LoggedEntry[]; upTo: number; lastSeq: number }>
