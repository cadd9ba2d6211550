import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { Failure } from '../failure.ts'
import { headBytes, type Kind, kindOf, plainFile, TextCheck } from './file-type.ts'

/** A file on its way in: its bytes, to be read once, and what is known when all of them have passed. */
export type Incoming = { bytes: Readable; facts(): { size: number; sha256: string; mimeType: string } }

/** Looks at the beginning, and refuses a type before anything is stored; then counts and hashes what passes. */
export async function receive(bytes: Readable, limit: number): Promise<Incoming> {
  const hash = createHash('sha256')
  const text = new TextCheck()
  let size = 0
  async function* counted() {
    for await (const given of bytes) {
      const chunk: Buffer = typeof given === 'string' ? Buffer.from(given) : given
      size += chunk.length
      if (size > limit) throw new Failure('too_large', { limit })
      hash.update(chunk)
      text.take(chunk)
      if (chunk.length > 0) yield chunk
    }
  }
  const rest = counted()
  const head = await takeHead(rest)
  const kind = await kindOf(head)
  async function* all() {
    if (head.length > 0) yield head
    yield* rest
  }
  return {
    bytes: Readable.from(all(), { objectMode: false }),
    facts: () => ({ size, sha256: hash.digest('hex'), mimeType: typeOf(kind, text) }),
  }
}

async function takeHead(chunks: AsyncGenerator<Buffer>): Promise<Buffer> {
  const taken: Buffer[] = []
  let size = 0
  while (size < headBytes) {
    const { value, done } = await chunks.next()
    if (done) break
    taken.push(value)
    size += value.length
  }
  return Buffer.concat(taken)
}

function typeOf(kind: Kind, text: TextCheck): string {
  if (!kind.text) return kind.mimeType
  return text.end() && !kind.markup ? 'text/plain' : plainFile
}
