const mostKeys = 20_000

/** So many in a minute for each key, at once or spread over it. Null counts nothing. */
export class Allowance {
  readonly #perMinute: number | null
  readonly #left = new Map<string, { tokens: number; at: number }>()

  constructor(perMinute: number | null) {
    this.#perMinute = perMinute
  }

  /** Takes one: 0, or in how many seconds there will be one. */
  take(key: string): number {
    if (this.#perMinute === null) return 0
    const now = performance.now()
    const perMs = this.#perMinute / 60_000
    const { tokens, at } = this.#left.get(key) ?? { tokens: this.#perMinute, at: now }
    const filled = Math.min(this.#perMinute, tokens + (now - at) * perMs)
    this.#left.delete(key)
    this.#left.set(key, { tokens: filled < 1 ? filled : filled - 1, at: now })
    this.#forgetOldest()
    return filled < 1 ? Math.max(1, Math.ceil((1 - filled) / perMs / 1_000)) : 0
  }

  /** In the order of their last use; whoever is forgotten here had the longest time to fill up. */
  #forgetOldest(): void {
    if (this.#left.size <= mostKeys) return
    const [oldest] = this.#left.keys()
    if (oldest !== undefined) this.#left.delete(oldest)
  }
}
