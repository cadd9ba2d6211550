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
      const blocks = text.split(/\r?\n\r?\n/)
      text = blocks.pop() ?? ''
      for (const block of blocks) take(block)
    }
    told.lost(lostByCode(0, 'The stream ended.'))
  }

  function take(block: string) {
    const lines = block.split(/\r?\n/).filter((line) => line.startsWith('data:'))
    if (!lines.length) return
    const frame = JSON.parse(lines.map((line) => line.slice(5).trimStart()).join('\n')) as ServerFrame
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
