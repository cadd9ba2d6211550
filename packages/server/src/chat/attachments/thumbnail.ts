import { buffer } from 'node:stream/consumers'
import sharp from 'sharp'
import type { Blobs } from '../blobs.ts'

export type Thumbnail = { webp: Buffer; width: number; height: number }

const edge = 480
/** A picture that claims more than this is taken for a bomb: decoding it may need four bytes for each. */
const mostPixels = 64_000_000
const mostBytes = 67_108_864
const mostWaiting = 32
const decodable = ['image/jpeg', 'image/png', 'image/gif', 'image/webp', 'image/avif']

sharp.cache(false)
sharp.concurrency(1)
// sharp looks at the bytes itself; these are the only decoders that it may choose. No SVG, no TIFF, no PDF.
sharp.block({ operation: ['VipsForeignLoad'] })
sharp.unblock({
  operation: ['Jpeg', 'Png', 'Nsgif', 'Webp', 'Heif'].map((name) => `VipsForeignLoad${name}`),
})

let waiting = 0
let last: Promise<unknown> = Promise.resolve()

export type Look =
  | { state: 'seen'; thumbnail: Thumbnail }
  /** Not for us to decode, or too much to do at the moment: nothing is known against it. */
  | { state: 'unseen' }
  /** Cut off, wrong, or a bomb: nobody should take it for a picture. */
  | { state: 'broken' }

/** Decodes a stored picture anew, one at a time, since each may need some hundred megabytes for a moment. */
export async function look(blobs: Blobs, key: string, mimeType: string): Promise<Look> {
  if (!decodable.includes(mimeType) || waiting >= mostWaiting) return { state: 'unseen' }
  waiting += 1
  const turn = last.then(() => lookNow(blobs, key))
  last = turn.catch(() => {})
  return turn.finally(() => {
    waiting -= 1
  })
}

async function lookNow(blobs: Blobs, key: string): Promise<Look> {
  const blob = await blobs.get(key)
  if (!blob || blob.size > mostBytes) {
    blob?.bytes.destroy()
    return { state: 'unseen' }
  }
  const bytes = await buffer(blob.bytes)
  return render(bytes).then(
    (thumbnail) => ({ state: 'seen', thumbnail }),
    () => ({ state: 'broken' }),
  )
}

/** The first frame, upright, without what cameras write into pictures (where, when, whose). */
async function render(bytes: Buffer): Promise<Thumbnail> {
  const image = sharp(bytes, { limitInputPixels: mostPixels, failOn: 'error', animated: false, pages: 1 })
  const { autoOrient } = await image.metadata()
  const webp = await image
    .autoOrient()
    .resize(edge, edge, { fit: 'inside', withoutEnlargement: true })
    .webp({ quality: 75 })
    .timeout({ seconds: 10 })
    .toBuffer()
  return { webp, width: autoOrient.width, height: autoOrient.height }
}
