/**
 * A value that can be read and watched: what `useSyncExternalStore` (React, Preact) asks for, and nothing else.
 * `get` gives the same object until something changed, and the object it gave never changes.
 */
export interface Store<T> {
  get(): T
  /** Calls `listener` after each change, once for changes made together. Returns the way to stop. */
  subscribe(listener: () => void): () => void
}

export class Cell<T> implements Store<T> {
  #value: T
  #listeners = new Set<() => void>()
  #telling = false
  /** Told when the first listener comes and when the last one goes. */
  #watched: (watched: boolean) => void

  constructor(value: T, watched: (watched: boolean) => void = () => {}) {
    this.#value = value
    this.#watched = watched
  }

  get = () => this.#value

  set(value: T) {
    if (value === this.#value) return
    this.#value = value
    if (this.#telling) return
    this.#telling = true
    queueMicrotask(() => {
      this.#telling = false
      for (const listener of [...this.#listeners]) listener()
    })
  }

  subscribe = (listener: () => void) => {
    // A wrapper, so that one function given twice is two subscriptions.
    const own = () => listener()
    this.#listeners.add(own)
    if (this.#listeners.size === 1) this.#watched(true)
    return () => {
      if (this.#listeners.delete(own) && this.#listeners.size === 0) this.#watched(false)
    }
  }
}
