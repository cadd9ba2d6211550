import type { Event, Message } from '@parley/protocol'

/** An event on its way to listeners: written out once, however many there are. */
export class Frame<E extends Event = Event> {
  readonly event: E
  #bytes: Buffer | undefined

  constructor(event: E) {
    this.event = event
  }

  /** The event as JSON in UTF-8, made when the first listener wants it. */
  get bytes(): Buffer {
    this.#bytes ??= Buffer.from(textOf(this.event))
    return this.#bytes
  }
}

/** The reply to a command that was done, as JSON. */
export function replyText(id: number, result: unknown): string {
  const opening = `{"type":"reply","id":${id},"ok":true`
  if (result === undefined) return `${opening}}`
  const known = result instanceof Object ? written.get(result) : undefined
  return `${opening},"result":${known ?? JSON.stringify(result)}}`
}

/** Messages as JSON, for as long as they live: a send is told twice, as the entry of the log and in its reply. */
const written = new WeakMap<object, string>()

function textOf(event: Event): string {
  if (event.type !== 'message.created') return JSON.stringify(event)
  const { message, ...entry } = event
  return `${JSON.stringify(entry).slice(0, -1)},"message":${messageText(message)}}`
}

function messageText(message: Message): string {
  const known = written.get(message)
  if (known) return known
  const text = JSON.stringify(message)
  written.set(message, text)
  return text
}
