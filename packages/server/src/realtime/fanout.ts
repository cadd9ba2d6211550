import type { Announcement } from '../chat/chat.ts'

/**
 * Word between nodes: what one node announces, every node hears, itself included. A hint only (design §6): it may be
 * dropped, repeated or late, and nothing but latency changes. Implementations must not throw from `announce`.
 */
export type Fanout = {
  announce(announcement: Announcement): void
  /** Called once, at start. */
  listen(hear: (announcement: Announcement) => void): void
  close(): Promise<void>
}
