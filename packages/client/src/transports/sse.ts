import type { ServerFrame } from '@parley/protocol'
import { lostByCode, lostByError, once, poster, type Transport } from './transport.ts'

/** A stream of events down (read with fetch, so that the token stays out of the URL), one POST per command up. */
export const sse: Transport = (hello, { http }, tell) => {
  const told = once(tell)
  const ending = new AbortController()
  const up = poster(http, hello.token, told)

  async function read() {
    const response = await http.open('POST', '/realtime/sse', {
      token: hello.token,
      body: hello,
      signal: ending.signal,
    })
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    while (reader && !told.over()) {
      const { value, done } = await reader.read()
      if (done) break
      told.heard()
      text += value
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) if (line.startsWith('data:')) take(JSON.parse(line.slice(5)))
    }
    told.lost(lostByCode(0))
  }

  function take(frame: ServerFrame) {
    told.frame(frame)
    if (frame.type === 'welcome') up.ready(frame.connectionId)
  }

  read().catch((error) => told.lost(lostByError(error)))
  return {
    send: up.send,
    close() {
      told.end()
      ending.abort()
    },
  }
}
