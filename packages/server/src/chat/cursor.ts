import { Failure } from './failure.ts'

/** Opaque to clients, and checked when it comes back: a forged one is refused, not believed. */
export const encodeCursor = (parts: (string | number)[]) =>
  Buffer.from(JSON.stringify(parts)).toString('base64url')

/** What a part may be, so narrowly that the store can read every text that passes. */
const kinds = {
  id: (text: string) => /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(text),
  /** The number of a transaction, as far as spans of them are counted. */
  horizon: (text: string) => /^\d{1,19}$/.test(text) && BigInt(text) < 2n ** 63n,
  /** As PostgreSQL writes it in UTC. */
  instant: (text: string) => {
    const [, day, time] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.\d{1,6})?\+00$/.exec(text) ?? []
    const at = new Date(`${day}T${time}Z`)
    return (
      !text.startsWith('0000') && !Number.isNaN(at.getTime()) && at.toISOString().startsWith(`${day}T${time}`)
    )
  },
}
type Kind = keyof typeof kinds
type Parts<T extends readonly Kind[]> = { [I in keyof T]: string }

/** The parts of a cursor of ours, each of the kind it should have; a forged one never reaches the store. */
export function decodeCursor<const T extends readonly Kind[]>(cursor: string, expected: T): Parts<T> {
  const parts: unknown = parse(cursor)
  if (!Array.isArray(parts) || parts.length !== expected.length) throw new Failure('invalid_cursor')
  for (const [i, kind] of expected.entries()) {
    if (typeof parts[i] !== 'string' || !kinds[kind](parts[i])) throw new Failure('invalid_cursor')
  }
  return parts as unknown as Parts<T>
}

function parse(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    return null
  }
}
