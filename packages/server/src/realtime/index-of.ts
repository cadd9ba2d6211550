const nobody: ReadonlySet<never> = new Set()

/** Sets by key, without empty sets left behind. */
export class Index<T> {
  readonly #sets = new Map<string, Set<T>>()

  add(key: string, member: T): void {
    const set = this.#sets.get(key)
    if (set) set.add(member)
    else this.#sets.set(key, new Set([member]))
  }

  remove(key: string, member: T): void {
    const set = this.#sets.get(key)
    if (set?.delete(member) && set.size === 0) this.#sets.delete(key)
  }

  get(key: string): ReadonlySet<T> {
    return this.#sets.get(key) ?? nobody
  }

  *members(): Generator<T> {
    for (const set of this.#sets.values()) yield* set
  }
}
