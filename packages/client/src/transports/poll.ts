import type { ServerFrame } from '@parley/protocol'
import { lostByError, once, poster, type Transport } from './transport.ts'

/** One request waits for frames; when it is answered, the next one waits. Works through anything that passes HTTP. */
export const poll: Transport = (hello, { http }, tell) => {
  const told = once(tell)
  const ending = new AbortController()
  const up = poster(http, hello.token, told)
  /** The server answers within 25 s (`limits.pollMs`). */
  const options = { token: hello.token, signal: ending.signal, timeoutMs: 40_000 }

  async function run() {
    let path = '/realtime/poll'
    let body: unknown = hello
    while (!told.over()) {
      const answer = (await http.request('POST', path, { ...options, body })) as {
        connectionId?: string
        frames: ServerFrame[]
      }
      told.heard()
      for (const frame of answer.frames) told.frame(frame)
      if (answer.connectionId) {
        path += `/${answer.connectionId}`
        body = { frames: [] }
        up.ready(answer.connectionId)
      }
    }
  }

  run().catch((error) => told.lost(lostByError(error)))
  return {
    send: up.send,
    close() {
      told.end()
      ending.abort()
    },
  }
}
