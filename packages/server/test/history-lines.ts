/**
 * What happened, as seen from outside: one line per event, written by the harness and never by the server, numbered by
 * one recorder in the order in which things happened. `type` is invoke, ok, fail (refused for certain) or info (the
 * outcome is unknown: a timeout is neither a failure nor a success). Bodies are told by their hash alone, and histories
 * hold no edits, so a message has one hash for ever.
 */
export type Line = Stamp & (Send | Resume | Deliver | Receipt | Access | Read | Final | Fault)
export type Unstamped = Line extends infer L ? (L extends Stamp ? Omit<L, 'i' | 't'> : never) : never

type Stamp = {
  /** Its place in the recording, and the clock of the real-time rules. */
  i: number
  /** Milliseconds, for the rules that allow some. */
  t: number
  /** Who saw it: a sender, a reader with its screen, a witness. */
  process: string
  transport: 'rest' | 'websocket' | 'sse' | 'poll' | 'sql' | 'none'
}
type Visibility = 'everyone' | 'agents'

/** A key may be tried many times; its attempts are one message. */
export type Send = {
  f: 'send'
  conversation: string
  sender: string
  key: string
  hash: string
  visibility: Visibility
} & ({ type: 'invoke' | 'info' } | { type: 'fail'; code: string } | { type: 'ok'; id: string; seq: number })

/** A reader goes on from a position; after `reset` it begins anew, wherever it is told to. */
export type Resume = {
  f: 'resume'
  type: 'ok' | 'reset'
  conversation: string
  after: number
  sees: Visibility
}
export type Deliver = {
  f: 'deliver'
  type: 'ok'
  conversation: string
  seq: number
  id: string | null
  hash: string | null
  sees: Visibility
}
export type Receipt = {
  f: 'receipt'
  type: 'ok'
  conversation: string
  participant: string
  delivered: number
  read: number
}
/** From here on this process may, or may no longer, see the conversation. */
export type Access = { f: 'access'; type: 'ok'; conversation: string; may: boolean }
/** A read in the middle of things, for freshness: how far the log reached. */
export type Read = { f: 'read'; conversation: string } & (
  | { type: 'invoke' }
  | { type: 'ok'; lastSeq: number }
)
/** Everything there is, read when all is quiet: the messages alone, or the whole log. */
export type Final = {
  f: 'final'
  type: 'ok'
  conversation: string
  of: 'messages' | 'log'
  sees: Visibility
  lastSeq: number
  entries: FinalEntry[]
  receipts: { participant: string; delivered: number; read: number }[]
}
export type FinalEntry = { seq: number; visibility: Visibility; message: FinalMessage | null }
export type FinalMessage = { id: string; hash: string; sender: string; key: string }
/** Something was broken on purpose. Without evidence that it was, a history proves nothing. */
export type Fault = { f: 'fault'; type: 'ok'; what: string; evidence: string | null }

/** One recorder for all processes of a test, so that the order of lines is the order of events. */
export class Recorder {
  readonly lines: Line[] = []

  write(line: Unstamped): void {
    this.lines.push({ ...line, i: this.lines.length, t: performance.now() } as Line)
  }
}
