const mostKnown = 100_000

/** Counts what an address asks for within a window. Bounded: whoever came first is forgotten first. */
export class AddressLimit {
  readonly #most: number
  readonly #windowMs: number
  readonly #windows = new Map<string, { count: number; endsAt: number }>()

  constructor(most: number, windowMs: number) {
    this.#most = most
    this.#windowMs = windowMs
  }

  /** One more; `remaining` is below zero when it is one too many. */
  count(address: string): { remaining: number; resetSeconds: number } {
    const now = performance.now()
    const window = this.#windowOf(address, now)
    window.count += 1
    return {
      remaining: this.#most - window.count,
      resetSeconds: Math.ceil((window.endsAt - now) / 1_000),
    }
  }

  #windowOf(address: string, now: number) {
    const known = this.#windows.get(address)
    if (known && known.endsAt > now) return known
    this.#windows.delete(address)
    const oldest = this.#windows.keys().next().value
    if (this.#windows.size >= mostKnown && oldest !== undefined) this.#windows.delete(oldest)
    const window = { count: 0, endsAt: now + this.#windowMs }
    this.#windows.set(address, window)
    return window
  }
}
