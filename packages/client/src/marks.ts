import { errorFrom } from './error.ts'

/**
 * My own delivered and read marks on their way to the server: gathered for a moment, the highest only, kept until
 * told. Nobody waits for them, and a refusal that will not pass is forgotten.
 */
export type Mark = { delivered: number; read: number }

const gatherMs = 200
const retryMs = 5_000
/** Told at once; the rest waits its turn. */
const together = 20

export function marks(
  tell: (conversationId: string, mark: Mark) => Promise<unknown>,
  /** There is no such conversation, or was none for me: what I read there was not taken down. */
  unread: (conversationId: string) => void,
) {
  const waiting = new Map<string, Mark>()
  const told = new Map<string, Mark>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let closed = false

  function schedule(ms: number) {
    timer ??= setTimeout(flush, ms)
  }

  async function flush() {
    const now = [...waiting].slice(0, together)
    for (const [id] of now) waiting.delete(id)
    let pause = gatherMs
    await Promise.all(
      now.map(([id, mark]) =>
        tell(id, mark).then(
          () => void told.set(id, highest(told.get(id), mark)),
          (thrown) => {
            const { code, retry } = errorFrom(thrown)
            if (code === 'not_found' && mark.read) unread(id)
            if (!retry) return
            pause = retryMs
            waiting.set(id, highest(waiting.get(id), mark))
          },
        ),
      ),
    )
    timer = undefined
    if (waiting.size && !closed) schedule(pause)
  }

  return {
    move(conversationId: string, mark: Mark) {
      const known = highest(told.get(conversationId), waiting.get(conversationId))
      if (mark.delivered <= known.delivered && mark.read <= known.read) return
      waiting.set(conversationId, highest(waiting.get(conversationId), mark))
      schedule(gatherMs)
    },
    /** The numbering began anew: what was told counts no more. */
    reset: () => told.clear(),
    close() {
      closed = true
      clearTimeout(timer)
    },
  }
}

const highest = (a: Mark = nothing, b: Mark = nothing): Mark => ({
  delivered: Math.max(a.delivered, b.delivered),
  read: Math.max(a.read, b.read),
})

const nothing: Mark = { delivered: 0, read: 0 }
