import type { ControlFrame, Event } from '@parley/protocol'
import type { Person } from '../src/testing.ts'

type Frame = Event | ControlFrame
type Input = Record<string, unknown>

/** What a stream or a poll hears, like `TestSocket` for a socket. */
export type Stream = {
  heard: Frame[]
  /** How a poll that asked once more was refused. */
  refused(): number | undefined
  until(fits: (frame: Frame) => boolean, withinMs?: number): Promise<Frame>
  ended(withinMs: number): Promise<void>
  close(): void
}

/** Server-Sent Events (SPEC T7), read as they come. */
export async function openStream(person: Person, hello: Input = {}): Promise<Stream> {
  const ending = new AbortController()
  const response = await fetch(`${person.url}/api/v1/realtime/sse`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'hello', token: person.token, ...hello }),
    signal: ending.signal,
  })
  const heard: Frame[] = []
  const reading = (async () => {
    let rest = ''
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      const blocks = (rest + Buffer.from(chunk).toString()).split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) heard.push(JSON.parse(block.replace(/^data: /, '')))
    }
  })()
  return listening(
    heard,
    reading,
    () => ending.abort(),
    () => undefined,
  )
}

/** Long polling (SPEC T8), asked again after every answer. */
export async function openPoll(person: Person, hello: Input = {}): Promise<Stream> {
  const ending = new AbortController()
  const heard: Frame[] = []
  let refused: number | undefined
  const ask = async (path: string, body: unknown) => {
    const response = await fetch(`${person.url}/api/v1/realtime/poll${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${person.token}` },
      body: JSON.stringify(body),
      signal: ending.signal,
    })
    if (!response.ok) refused = response.status
    return (await response.json()) as { connectionId?: string; frames?: Frame[] }
  }
  const first = await ask('', { type: 'hello', token: person.token, ...hello })
  heard.push(...(first.frames ?? []))
  const polling = (async () => {
    for (;;) {
      const { frames } = await ask(`/${first.connectionId}`, { frames: [] })
      if (!frames) return
      heard.push(...frames)
      if (frames.some(({ type }) => type === 'close')) return
    }
  })()
  return listening(
    heard,
    polling,
    () => ending.abort(),
    () => refused,
  )
}

function listening(
  heard: Frame[],
  reading: Promise<void>,
  close: () => void,
  refused: () => number | undefined,
): Stream {
  let over = false
  const done = reading
    .catch(() => {})
    .finally(() => {
      over = true
    })
  return {
    heard,
    close,
    refused,
    until: async (fits, withinMs = 10_000) => {
      const deadline = Date.now() + withinMs
      for (;;) {
        const found = heard.find(fits)
        if (found) return found
        if (over || Date.now() > deadline) {
          throw new Error(`Waited in vain; heard ${heard.map(({ type }) => type).join(', ')}`)
        }
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    },
    ended: async (withinMs) => {
      const late = new Promise<never>((_, reject) =>
        setTimeout(() => reject(new Error('It goes on')), withinMs).unref(),
      )
      await Promise.race([done, late])
    },
  }
}
