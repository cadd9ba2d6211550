import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'

/** Both ends belong to it. */
export type ByteRange = { first: number; last: number }

/**
 * The one range that is asked for, as players do to seek (RFC 9110 §14). Several ranges, other units and conditional
 * ones are answered with the whole, which is always allowed.
 */
export function rangeOf(headers: IncomingHttpHeaders, size: number): ByteRange | 'unsatisfiable' | null {
  const [, from = '', to = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(headers.range ?? '') ?? []
  if ((from === '' && to === '') || headers['if-range']) return null
  if (from !== '' && to !== '' && Number(to) < Number(from)) return null
  const first = from === '' ? Math.max(0, size - Number(to)) : Number(from)
  const last = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1)
  return first > last ? 'unsatisfiable' : { first, last }
}

/** Skips to the range and stops after it. */
export async function* within(bytes: Readable, { first, last }: ByteRange): AsyncGenerator<Buffer> {
  let position = 0
  for await (const chunk of bytes as AsyncIterable<Buffer>) {
    const start = position
    position += chunk.length
    if (position > first) yield chunk.subarray(Math.max(0, first - start), last + 1 - start)
    if (position > last) return
  }
}
