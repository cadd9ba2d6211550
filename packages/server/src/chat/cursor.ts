import { Failure } from './failure.ts'

/** Opaque to clients, and checked when it comes back: a forged one is refused, not believed. */
export const encodeCursor = (parts: (string | number)[]) =>
  Buffer.from(JSON.stringify(parts)).toString('base64url')

type Kinds = { string: string; number: number }
type Parts<T extends readonly (keyof Kinds)[]> = { [I in keyof T]: Kinds[T[I]] }

/** The parts of a cursor of ours, each of the kind it should have. Strings hold ids, instants or numbers, no more. */
export function decodeCursor<const T extends readonly (keyof Kinds)[]>(cursor: string, kinds: T): Parts<T> {
  const parts: unknown = parse(cursor)
  const fits =
    Array.isArray(parts) &&
    parts.length === kinds.length &&
    parts.every(
      (part, i) =>
        typeof part === kinds[i] && (typeof part === 'string' ? isPart(part) : Number.isSafeInteger(part)),
    )
  if (!fits) throw new Failure('invalid_cursor')
  return parts as unknown as Parts<T>
}

const isPart = (text: string) =>
  /^[0-9]{1,20}$/.test(text) ||
  /^[0-9a-f-]{36}$/.test(text) ||
  /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00$/.test(text)

function parse(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    return null
  }
}
