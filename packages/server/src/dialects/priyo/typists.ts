import { limits } from '@parley/protocol'

/** Who types in a room, as this socket was told. Whoever does not say that they stopped has stopped after a while. */
export class Typists {
  readonly #tell: (userId: string, typing: boolean) => void
  readonly #timers = new Map<string, NodeJS.Timeout>()

  constructor(tell: (userId: string, typing: boolean) => void) {
    this.#tell = tell
  }

  hear(userId: string, typing: boolean): void {
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
