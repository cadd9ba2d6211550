import type { Beat, Hello, ServerFrame } from '@parley/protocol'
import type { CloseReason, closeCodes } from '@parley/protocol/errors'
import { disconnected, errorFrom, ParleyError } from '../error.ts'
import type { Http } from '../http.ts'

/**
 * A transport carries frames for one connection and knows nothing of their meaning. It keeps the client's half of
 * SPEC T1 to T5 (the contract suite holds all three to it):
 *
 * - T1: the hello goes first, with the token inside it or in a header, never in the URL;
 * - T2: frames of the server arrive in the order sent, each once;
 * - T3: commands leave in the order given; those given before the connection stands wait for it;
 * - T4: a command that the server refuses by HTTP status becomes a failed `reply`;
 * - T5: the end is told once, with a reason, and nothing is told after it; after `close()` nothing at all. Whoever
 *   is told of the end still calls `close()`, which lets go of what is left.
 */
export type Transport = (hello: Hello, wire: Wire, told: Told) => Link

export type Wire = { http: Http; WebSocket: typeof WebSocket | undefined }

export type Command = { id: number; type: string } & Record<string, unknown>

export type Link = {
  send(frame: Command | Beat): void
  close(): void
}

/** The last one, `close`, is told as `lost`. */
export type HeardFrame = Exclude<ServerFrame, { type: 'close' }>

export type Told = {
  frame(frame: HeardFrame): void
  /** Something came, if only to say that the line is alive. */
  heard(): void
  lost(lost: Lost): void
}

/** 'lost', and every reason that says nothing about credentials or protocol: connect again. */
export type Lost = { reason: CloseReason | 'lost'; error: ParleyError | null }

type Telling = 'token_expired' | StopReason<CloseReason>
type StopReason<R> = R extends CloseReason
  ? (typeof closeCodes)[R]['reconnect'] extends false
    ? R
    : never
  : never

/** The codes that mean more than "connect again", as the protocol has them (it checks them here by type alone). */
type Code<R extends CloseReason> = (typeof closeCodes)[R]['code']
const reasons: { [R in Telling as Code<R>]: R } = {
  4011: 'token_expired',
  4100: 'protocol_error',
  4101: 'unauthenticated',
  4102: 'revoked',
  4103: 'origin_refused',
}

/** The close code's own name; unknown codes are judged by their range alone. */
export function lostByCode(code: number, text = ''): Lost {
  const stop = code >= 4100 && code < 4200
  const reason = (reasons as Record<number, Telling>)[code] ?? (stop ? 'protocol_error' : 'lost')
  return {
    reason,
    error: text ? new ParleyError('disconnected', text, !stop) : disconnected(),
  }
}

export function lostByError(thrown: unknown): Lost {
  const error = errorFrom(thrown)
  if (error.code === 'token_expired' || error.code === 'origin_refused') return { reason: error.code, error }
  if (error.status === 401) return { reason: 'unauthenticated', error }
  const stop = error.status === 400 && error.code !== 'invalid_cursor'
  return { reason: stop ? 'protocol_error' : 'lost', error }
}

/**
 * Guards SPEC T5: whatever the parts of a transport still say after the end is not passed on. Streams and polls have no
 * close code; their last frame is `close` (SPEC C4).
 */
export type Once = Omit<Told, 'frame'> & { frame(frame: ServerFrame): void; over(): boolean; end(): void }

export function once(told: Told): Once {
  let over = false
  function lost(lost: Lost) {
    if (over) return
    over = true
    told.lost(lost)
  }
  return {
    frame(frame) {
      if (over) return
      if (frame.type !== 'close') return told.frame(frame)
      lost({ reason: frame.reason, error: disconnected() })
    },
    heard: () => over || told.heard(),
    lost,
    over: () => over,
    end() {
      over = true
    },
  }
}

/** The way up for transports whose stream only comes down: one POST per command, one after the other. */
export function poster(http: Http, token: string, told: Once) {
  const waiting: (Command | Beat)[] = []
  let connectionId: string | null = null
  let busy = false

  async function run() {
    if (busy || !connectionId) return
    busy = true
    for (let frame = waiting.shift(); frame && !told.over(); frame = waiting.shift()) {
      try {
        await http.request('POST', `/realtime/connections/${connectionId}`, { token, body: frame })
        told.heard()
      } catch (thrown) {
        const error = errorFrom(thrown)
        if (!error.status || error.status === 401 || error.status === 404) {
          return told.lost(lostByError(error))
        }
        if ('id' in frame) told.frame({ type: 'reply', id: frame.id, ok: false, error })
      }
    }
    busy = false
  }

  return {
    send(frame: Command | Beat) {
      waiting.push(frame)
      void run()
    },
    ready(id: string) {
      connectionId = id
      void run()
    },
  }
}
