import { byteLength, limits } from '@parley/protocol'
import { invalid } from './failure.ts'

/** Metadata as it is stored: refused beyond its limit. */
export function metadataText(metadata: Record<string, unknown>): string {
  const written = JSON.stringify(metadata)
  if (byteLength(written) > limits.metadataBytes) {
    throw invalid('metadata', `At most ${limits.metadataBytes} bytes when written out`)
  }
  return written
}
