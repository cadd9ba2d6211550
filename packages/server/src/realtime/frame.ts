import type { Event } from '@parley/protocol'

/** An event on its way to listeners: written out once, however many there are. */
export class Frame<E extends Event = Event> {
  readonly event: E
  #bytes: Buffer | undefined

  constructor(event: E) {
    this.event = event
  }

  /** The event as JSON in UTF-8, made when the first listener wants it. */
  get bytes(): Buffer {
    this.#bytes ??= Buffer.from(JSON.stringify(this.event))
    return this.#bytes
  }
}
