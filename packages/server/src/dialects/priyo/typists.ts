import { limits } from '@parley/protocol'

/** Who types in a room, as this socket was told. Whoever does not say that they stopped has stopped after a while. */
export class Typists {
  readonly #ownId: string
  readonly #tell: (userId: string, typing: boolean) => void
  readonly #timers = new Map<string, NodeJS.Timeout>()
  #isOwn = false

  constructor(ownId: string, tell: (userId: string, typing: boolean) => void) {
    this.#ownId = ownId
    this.#tell = tell
  }

  /** This socket says itself that its person types, or has stopped; `announce` tells everybody. */
  async say(typing: boolean, announce: () => Promise<void>): Promise<void> {
    this.#isOwn = true
    await announce()
    this.#isOwn = typing
  }

  /** What is announced comes back to this socket too, which is told only what the same person's other sockets say. */
  hear(userId: string, typing: boolean): void {
    if (userId === this.#ownId && typing && this.#isOwn) return
    const timer = this.#timers.get(userId)
    clearTimeout(timer)
    this.#timers.delete(userId)
    if (typing) {
      const stop = setTimeout(() => this.hear(userId, false), limits.typingMs)
      stop.unref()
      this.#timers.set(userId, stop)
    } else if (!timer) return
    this.#tell(userId, typing)
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }
}
