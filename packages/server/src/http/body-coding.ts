import type { IncomingHttpHeaders } from 'node:http'
import { Failure } from '../chat/failure.ts'

/** Refuses a body that is packed or not UTF-8: read as if it were neither, it would be taken for something else. */
export function requirePlainBody(headers: IncomingHttpHeaders): void {
  const coding = headers['content-encoding'] ?? 'identity'
  const [, charset = 'utf-8'] = /;\s*charset\s*=\s*"?([^\s;"]*)/i.exec(headers['content-type'] ?? '') ?? []
  if (coding.toLowerCase() === 'identity' && readable.has(charset.toLowerCase())) return
  throw new Failure('unsupported_media_type', {
    message: 'Send the body as UTF-8 and without Content-Encoding.',
  })
}

const readable = new Set(['utf-8', 'utf8', 'us-ascii'])
