/**
 * Work that is done again whenever somebody asks for it, never twice at the same time. Who asks while it is being done may
 * know of something that it has looked past already, so it is done once more after that, for all who asked.
 */
export class Again {
  readonly #work: () => Promise<void>
  #working: Promise<void> | undefined
  #isAsked = false

  /** `work` must see to its own failures: most who ask do not wait for what they asked for. */
  constructor(work: () => Promise<void>) {
    this.#work = work
  }

  /** Resolves when it has been done for this one, too. */
  ask(): Promise<void> {
    this.#isAsked = true
    this.#working ??= this.#workOn().finally(() => {
      this.#working = undefined
    })
    return this.#working
  }

  async #workOn(): Promise<void> {
    while (this.#isAsked) {
      this.#isAsked = false
      await this.#work()
    }
  }
}
