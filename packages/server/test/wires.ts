import { once } from 'node:events'
import type { ControlFrame, ServerFrame } from '@parley/protocol'
import { WebSocket } from 'ws'

export type Transport = 'websocket' | 'sse' | 'poll'
export const transports: readonly Transport[] = ['websocket', 'sse', 'poll']
export type Reply = Extract<ControlFrame, { type: 'reply' }>

/** Our protocol over one of the three transports, without the client, so that tests see what is on the wire. */
export type Wire = {
  connectionId: string
  /** Resolves with the reply; rejects when the wire ends before it. */
  command(type: string, input: object): Promise<Reply>
  /** Ends as a peer that vanishes. */
  close(): void
  /** Resolves when it is over, whoever ended it. */
  ended: Promise<void>
}
type Open = { url: string; token: string; hello?: object; hear?(frame: ServerFrame): void }

/** Says hello and resolves when welcomed; `hear` is given every frame, in order. */
export async function openWire(transport: Transport, { url, token, hello, hear }: Open): Promise<Wire> {
  const welcome = Promise.withResolvers<string>()
  const ended = Promise.withResolvers<void>()
  const waiting = new Map<number, (reply: Reply) => void>()
  const carrier = carriers[transport](
    `${url}/api/v1/realtime`,
    { type: 'hello', token, ...hello },
    {
      frame(frame) {
        if (frame.type === 'welcome') welcome.resolve(frame.connectionId)
        if (frame.type === 'reply') waiting.get(frame.id)?.(frame)
        hear?.(frame)
      },
      end(error) {
        welcome.reject(error ?? new Error('Not welcomed'))
        ended.resolve()
      },
    },
  )
  const connectionId = await welcome.promise
  let next = 1
  return {
    connectionId,
    ended: ended.promise,
    close: carrier.close,
    command: (type, input) =>
      new Promise((resolve, reject) => {
        const id = next++
        waiting.set(id, resolve)
        ended.promise.then(() => reject(new Error(`The wire ended before ${type} was answered`)))
        carrier.send({ type, id, ...input }).catch(reject)
      }),
  }
}

type Ears = { frame(frame: ServerFrame): void; end(error?: Error): void }
type Carrier = { send(frame: object): Promise<void>; close(): void }
type Hello = { type: 'hello'; token: string }

const carriers: Record<Transport, (address: string, hello: Hello, ears: Ears) => Carrier> = {
  websocket(address, hello, ears) {
    const socket = new WebSocket(address.replace(/^http/, 'ws'))
    const open = once(socket, 'open').then(() => socket.send(JSON.stringify(hello)))
    open.catch(ears.end)
    socket.on('message', (data) => ears.frame(JSON.parse(data.toString())))
    socket.on('error', () => {})
    socket.on('close', (code) => ears.end(new Error(`Closed with ${code}`)))
    return { send: async (frame) => socket.send(JSON.stringify(frame)), close: () => socket.terminate() }
  },

  sse(address, hello, ears) {
    const post = poster(hello.token)
    let id = ''
    const read = async () => {
      const answer = await post(`${address}/sse`, hello)
      let text = ''
      for await (const piece of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const blocks = `${text}${piece}`.split('\n\n')
        text = blocks.pop() ?? ''
        for (const block of blocks) {
          if (!block.startsWith('data: ')) continue
          const frame = JSON.parse(block.slice('data: '.length)) as ServerFrame
          if (frame.type === 'welcome') id = frame.connectionId
          ears.frame(frame)
        }
      }
    }
    read().then(() => ears.end(), ears.end)
    return {
      send: async (frame) => void (await post(`${address}/connections/${id}`, frame)),
      close: post.stop,
    }
  },

  poll(address, hello, ears) {
    const post = poster(hello.token)
    let id = ''
    const read = async () => {
      let body: object = hello
      for (;;) {
        const answer = await post(`${address}/poll${id && `/${id}`}`, body)
        const { connectionId, frames } = (await answer.json()) as {
          connectionId?: string
          frames: ServerFrame[]
        }
        id ||= connectionId ?? ''
        body = { frames: [] }
        for (const frame of frames) ears.frame(frame)
      }
    }
    read().then(() => ears.end(), ears.end)
    return {
      send: async (frame) => void (await post(`${address}/connections/${id}`, frame)),
      close: post.stop,
    }
  },
}

function poster(token: string) {
  const stopping = new AbortController()
  const post = async (address: string, body: object) => {
    const answer = await fetch(address, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: stopping.signal,
    })
    if (!answer.ok) throw new Error(`${address} answered ${answer.status}: ${await answer.text()}`)
    return answer
  }
  return Object.assign(post, { stop: () => stopping.abort() })
}
