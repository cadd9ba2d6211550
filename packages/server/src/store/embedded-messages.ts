/**
 * As much of PostgreSQL's wire protocol as the gate needs: where a message ends, where a unit ends, and which messages
 * name a prepared statement. https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** One whole message. `type` is its letter, or `startup` for those before the conversation, which have none. */
export type Message = { type: string; bytes: Buffer }

/** Cuts a client's bytes into messages, whatever the pieces they arrive in. */
export function messageReader(): (piece: Buffer) => Message[] {
  let pieces: Buffer[] = []
  let held = 0
  let needed = 0
  let started = false

  return (piece) => {
    pieces.push(piece)
    held += piece.length
    if (held < needed) return [] // joined once when complete, not once per piece
    const bytes = pieces.length === 1 ? piece : Buffer.concat(pieces)
    const messages: Message[] = []
    let at = 0
    for (;;) {
      const header = started ? 1 : 0
      needed = header + 4
      if (bytes.length - at < needed) break
      const length = bytes.readInt32BE(at + header)
      if (length < 4 || (!started && length > 10_000)) throw new Error('not the PostgreSQL protocol')
      needed = header + length
      if (bytes.length - at < needed) break
      const message = bytes.subarray(at, at + needed)
      messages.push({ type: started ? String.fromCharCode(message[0] ?? 0) : 'startup', bytes: message })
      started ||= isStartup(message)
      at += needed
    }
    pieces = [bytes.subarray(at)]
    held = bytes.length - at
    return messages
  }
}

/** Startup proper, not a request for encryption or to cancel. */
export function isStartup(message: Buffer): boolean {
  return message.length >= 8 && message.readInt16BE(4) === 3
}

export function isCancelRequest(message: Buffer): boolean {
  return message.length >= 8 && message.readInt32BE(4) === 80_877_102
}

export function startup(user: string, database: string): Buffer {
  const body = Buffer.from(`\0\0\0\0\0\x03\0\0user\0${user}\0database\0${database}\0\0`)
  body.writeInt32BE(body.length)
  return body
}

export function message(type: string, body: string): Buffer {
  const bytes = Buffer.from(`${type}\0\0\0\0${body}`)
  bytes.writeInt32BE(bytes.length - 1, 1)
  return bytes
}

/** All a client may say once it has started. The backend dies of a letter it does not know. */
export function isKnown({ type }: Message): boolean {
  return type === 'startup' || 'BCDEFHPQSXcdf'.includes(type)
}

/** Everything the client has asked for must be answered now: until here messages can wait and go together. */
export function endsUnit({ type }: Message): boolean {
  return type === 'Q' || type === 'S' || type === 'F' || type === 'H'
}

/** True of a unit that ends with ReadyForQuery; a Flush does not. */
export function isAnsweredReady({ type }: Message): boolean {
  return type !== 'H'
}

/** What ReadyForQuery, always the last six bytes, says: `I`dle, in a `T`ransaction, in a failed (`E`) one. */
export function transactionStatus(answer: Buffer): string {
  const ready = answer.subarray(-6)
  if (ready[0] !== 0x5a || ready.readInt32BE(1) !== 5)
    throw new Error('the backend did not end with ReadyForQuery')
  return String.fromCharCode(ready[5] ?? 0)
}

/** The name of the prepared statement a message speaks of; empty for the unnamed one and for other messages. */
export function statementName(message: Message): string {
  const start = statementNameStart(message)
  return start === undefined ? '' : message.bytes.toString('utf8', start, message.bytes.indexOf(0, start))
}

/** The same message, with `prefix` before the name of its prepared statement. */
export function withPrefixedStatement({ type, bytes }: Message, prefix: string): Message {
  const start = statementNameStart({ type, bytes })
  if (start === undefined || bytes[start] === 0) return { type, bytes }
  const longer = Buffer.concat([bytes.subarray(0, start), Buffer.from(prefix), bytes.subarray(start)])
  longer.writeInt32BE(longer.length - 1, 1)
  return { type, bytes: longer }
}

function statementNameStart({ type, bytes }: Message): number | undefined {
  if (type === 'P') return 5
  if (type === 'B') return bytes.indexOf(0, 5) + 1 // after the portal's name
  if ((type === 'D' || type === 'C') && bytes[5] === 0x53) return 6 // S: a statement, not a portal
  return undefined
}
