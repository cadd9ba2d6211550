/**
 * Work that is done again whenever somebody asks for it, never twice at the same time. Who asks while it is being done may
 * know of something that it has looked past already, so it is done once more after that, for all who asked.
 */
export class Again {
  readonly #work: () => Promise<void>
  #isWorking = false
  #isAsked = false

  /** `work` must see to its own failures: most who ask do not wait for what they asked for. */
  constructor(work: () => Promise<void>) {
    this.#work = work
  }

  async ask(): Promise<void> {
    this.#isAsked = true
    if (this.#isWorking) return
    this.#isWorking = true
    try {
      while (this.#isAsked) {
        this.#isAsked = false
        await this.#work()
      }
    } finally {
      this.#isWorking = false
    }
  }
}
