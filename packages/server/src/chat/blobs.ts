import type { Readable } from 'node:stream'

/** Where the bytes of attachments lie. A seam: local disk now, an S3-compatible store beside it. */
export type Blobs = {
  /** Writes the stream under `key`; resolves when the bytes are synced and in place, all of them or none. */
  put(key: string, bytes: Readable): Promise<void>
  /** The bytes, or null when there are none under this key. */
  get(key: string): Promise<{ bytes: Readable; size: number } | null>
  remove(key: string): Promise<void>
  /** Keys of everything stored longer ago than this. */
  keys(olderThanMs: number): AsyncIterable<string>
  /** Removes what an interrupted `put` left behind longer ago than this; says how much. */
  sweep(olderThanMs: number): Promise<number>
}
