import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { io, type Socket } from 'socket.io-client'
import { WebSocket } from 'ws'
import type { Cast, Guest } from './cast.ts'

/** What a dialect calls a message that it acknowledged; null where it acknowledges without a name. */
export type Said = { name: string | null }

/** One client that speaks in a conversation. `say` resolves when the dialect has acknowledged; rejects when nobody knows. */
export type Voice = { say(text: string, key: string): Promise<Said>; close(): void }

/** Somebody who speaks in one way of one dialect, on one connection after another. */
export type Speaker = {
  dialect: 'servicehub' | 'priyo' | 'careforall' | 'livesupport' | 'tutorgo'
  way: 'rest' | 'websocket'
  who: Guest
  conversation: 'shared' | 'pair'
  /** The dialect lets its clients name their messages, so trying again is safe. */
  namesItsSends: boolean
  open(url: string): Promise<Voice>
}

/** The dialect said no, for certain. */
export class Refused extends Error {}

/** Everybody who may speak, in each way that their dialect has. */
export function speakersOf(cast: Cast): Speaker[] {
  const { shared, pair, cora, candidate, sam, pia, lee, carl, sue, tom } = cast
  const inShared = { conversation: 'shared', namesItsSends: true } as const
  const nameless = { conversation: 'shared', namesItsSends: false } as const
  const serviceHub = (who: Guest): Speaker => ({
    ...{ dialect: 'servicehub', way: 'rest', who, ...inShared },
    open: async (url) =>
      poster(
        `${url}/servicehub/conversations/${shared.servicehub}/messages`,
        who,
        (body, clientMessageId) => ({
          ...{ senderId: who.id, body, clientMessageId, contentType: 'TEXT' },
        }),
      ),
  })
  const tutorGo = (who: Guest, receiver: Guest): Speaker => ({
    ...{ dialect: 'tutorgo', way: 'websocket', who, conversation: 'pair', namesItsSends: true },
    open: async (url) => {
      const socket = await connectIo(`${url}/tutorgo`, who)
      return {
        say: async (message, clientMessageId) => {
          const wish = { conversationId: pair, receiverId: receiver.id, message, clientMessageId }
          const answer = await socket.timeout(patience).emitWithAck('send-message', wish)
          if (!answer.success) throw new Refused(answer.message)
          return { name: answer.message.id }
        },
        close: () => socket.disconnect(),
      }
    },
  })
  return [
    serviceHub(cora),
    serviceHub(sam),
    {
      ...{ dialect: 'careforall', way: 'rest', who: carl, ...inShared },
      open: async (url) =>
        poster(`${url}/careforall/api/conversations/${shared.careforall}/messages`, carl, (content, key) => ({
          ...{ content, clientMessageId: key },
        })),
    },
    {
      ...{ dialect: 'careforall', way: 'websocket', who: carl, ...inShared },
      open: async (url) => {
        const line = await RawLine.open(
          `${url}/careforall/ws/conversations/${shared.careforall}?token=${carl.key}`,
        )
        await line.hears((frame) => frame.type === 'system')
        return {
          say: async (content, clientMessageId) => {
            line.say({ type: 'message', content, clientMessageId })
            const isMine = (frame: Frame) =>
              frame.clientMessageId === clientMessageId || frame.type === 'error'
            const answer = await line.hears(isMine)
            if (answer.type === 'error') throw new Refused(JSON.stringify(answer))
            return { name: answer.messageId }
          },
          close: () => line.close(),
        }
      },
    },
    {
      ...{ dialect: 'priyo', way: 'rest', who: pia, ...nameless },
      open: async (url) =>
        poster(`${url}/priyo/api/messages`, pia, (content) => ({ conversationId: shared.priyo, content })),
    },
    {
      ...{ dialect: 'priyo', way: 'websocket', who: pia, ...nameless },
      open: async (url) => {
        const socket = await connectIo(`${url}/priyo`, pia)
        const join = await socket.timeout(patience).emitWithAck('conversation:join', shared.priyo)
        if (!join.ok) throw new Refused(join.error)
        return {
          say: async (content) => {
            // The acknowledgement has no name in it; the message itself comes back to its sender, too.
            const told = heardOn(socket, 'message:new', (frame) => frame.content === content)
            const wish = { conversationId: shared.priyo, content }
            const answer = await socket.timeout(patience).emitWithAck('message:send', wish)
            if (!answer.ok) throw new Refused(answer.error)
            return { name: (await told).id }
          },
          close: () => socket.disconnect(),
        }
      },
    },
    {
      ...{ dialect: 'livesupport', way: 'websocket', who: lee, ...nameless },
      // Nobody here is told of their own messages: what the other side hears is the acknowledgement.
      open: async (url) => {
        const [mouth, ear] = await Promise.all(
          [lee, candidate].map((one) => inRoom(url, one, shared.livesupport)),
        )
        if (!mouth || !ear) throw new Error('Nobody is in the room')
        return {
          say: async (content) => {
            mouth.say({ event: 'SEND_MESSAGE', data: { conversationId: shared.livesupport, content } })
            const heard = (frame: Frame) => frame.event === 'NEW_MESSAGE' && frame.data.content === content
            await ear.hears(heard).catch((error: unknown) => {
              const complaint = mouth.heard.find((frame) => frame.event === 'ERROR')
              throw complaint ? new Refused(complaint.data.message) : error
            })
            return { name: null }
          },
          close: () => {
            mouth.close()
            ear.close()
          },
        }
      },
    },
    tutorGo(sue, tom),
    tutorGo(tom, sue),
  ]
}

const patience = 5_000

function poster(address: string, who: Guest, bodyOf: (text: string, key: string) => object): Voice {
  return {
    say: async (text, key) => {
      const response = await fetch(address, {
        method: 'POST',
        headers: { authorization: `Bearer ${who.key}`, 'content-type': 'application/json' },
        body: JSON.stringify(bodyOf(text, key)),
      })
      const answer = await response.text()
      if (response.status >= 500) throw new Error(answer)
      if (response.status >= 300) throw new Refused(answer)
      const body = JSON.parse(answer)
      return { name: body.data?.messageId ?? body.data?.id ?? body.id }
    },
    close: () => {},
  }
}

/** Comes into the room of a conversation of Live Support. */
export async function inRoom(url: string, who: Guest, conversationId: string): Promise<RawLine> {
  const line = await RawLine.open(`${url}/livesupport/ws?token=${who.key}`)
  line.say({ event: 'JOIN_CONVERSATION', data: { conversationId } })
  const answer = await line.hears((frame) => frame.event === 'JOINED_CONVERSATION' || frame.event === 'ERROR')
  if (answer.event === 'ERROR') throw new Refused(answer.data.message)
  return line
}

// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by asserting it; a type would be a claim unchecked.
export type Frame = any

/** A plain WebSocket of any dialect, and all that it heard. */
export class RawLine {
  readonly heard: Frame[] = []
  readonly #socket: WebSocket
  readonly #wake = new Set<() => void>()
  #isClosed = false

  static async open(url: string): Promise<RawLine> {
    const line = new RawLine(new WebSocket(url.replace(/^http/, 'ws')))
    await once(line.#socket, 'open')
    return line
  }

  constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('message', (data) => {
      this.heard.push(JSON.parse(data.toString()))
      for (const wake of this.#wake) wake()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#isClosed = true
      for (const wake of this.#wake) wake()
    })
  }

  say(frame: object): void {
    this.#socket.send(JSON.stringify(frame))
  }

  /** The first frame that fits, heard already or to come; rejects when the socket closes before it. */
  async hears(fits: (frame: Frame) => boolean, withinMs = patience): Promise<Frame> {
    const deadline = Date.now() + withinMs
    for (let from = 0; ; ) {
      for (; from < this.heard.length; from++) if (fits(this.heard[from])) return this.heard[from]
      if (this.#isClosed) throw new Error('The socket was closed')
      if (Date.now() > deadline) throw new Error('Waited in vain')
      await this.#change(deadline - Date.now())
    }
  }

  close(): void {
    this.#socket.terminate()
  }

  async #change(withinMs: number): Promise<void> {
    const changed = Promise.withResolvers<void>()
    this.#wake.add(changed.resolve)
    const late = new AbortController()
    await Promise.race([
      changed.promise,
      wait(Math.max(1, withinMs), null, { signal: late.signal }).catch(() => {}),
    ])
    late.abort()
    this.#wake.delete(changed.resolve)
  }
}

/** A Socket.IO client at the prefix of its dialect, which is its namespace. */
export async function connectIo(address: string, who: Guest): Promise<Socket> {
  const auth = { token: who.key }
  const socket = io(address, { auth, transports: ['websocket'], reconnection: false, forceNew: true })
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('Not connected')), patience)
    socket.once('connect', () => resolve(clearTimeout(late)))
    socket.once('connect_error', (error) => {
      clearTimeout(late)
      socket.disconnect()
      reject(error)
    })
  })
  return socket
}

function heardOn(socket: Socket, event: string, fits: (frame: Frame) => boolean): Promise<Frame> {
  const heard = Promise.withResolvers<Frame>()
  const hear = (frame: Frame) => {
    if (fits(frame)) heard.resolve(frame)
  }
  const lost = () => heard.reject(new Error('The socket was closed'))
  socket.on(event, hear)
  socket.once('disconnect', lost)
  const told = heard.promise.finally(() => {
    socket.off(event, hear)
    socket.off('disconnect', lost)
  })
  // Whoever asks may have stopped waiting already.
  told.catch(() => {})
  return told
}
