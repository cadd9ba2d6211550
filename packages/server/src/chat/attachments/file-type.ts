import { fileTypeFromBuffer } from 'file-type'
import { Failure } from '../failure.ts'

/** As much of the beginning as tells a .docx from any .zip. */
export const headBytes = 262_144
export const plainFile = 'application/octet-stream'

/**
 * What a file is, from its bytes alone: neither its name nor what the sender says counts (promise §6).
 *
 * The types below are said as they are. What programs run is refused, since a support chat is how malware reaches
 * the desks of a team. Everything else, and everything that a browser would treat as a page or a drawing with
 * scripts in it (HTML, SVG, XML), is kept as a plain file of no type: people do send logos and invoices like that, a
 * page of ours never renders them, and refusing them would only teach to zip them.
 */
export type Kind = { mimeType: string; text: false } | { text: true; markup: boolean }

const said = new Map(
  [
    'image/jpeg image/png image/gif image/webp image/avif image/heic image/heif',
    'image/heic-sequence=image/heic image/heif-sequence=image/heif image/apng=image/png',
    'application/pdf application/rtf application/epub+zip',
    'application/zip application/gzip application/x-7z-compressed application/x-rar-compressed application/x-tar',
    ...['wordprocessingml.document', 'spreadsheetml.sheet', 'presentationml.presentation'].map(
      (name) => `application/vnd.openxmlformats-officedocument.${name}`,
    ),
    ...['text', 'spreadsheet', 'presentation', 'graphics'].map(
      (name) => `application/vnd.oasis.opendocument.${name}`,
    ),
    'audio/mpeg audio/mp4 audio/wav audio/ogg audio/flac audio/aac audio/amr audio/x-m4a=audio/mp4',
    'video/mp4 video/webm video/quicktime video/ogg video/mpeg video/3gpp video/x-m4v=video/mp4',
    'video/matroska=video/x-matroska video/vnd.avi',
  ]
    .flatMap((line) => line.split(' '))
    .map((entry) => entry.split('='))
    .map(([found = '', name = found]) => [found, name] as const),
)

const run = new Set(
  [
    'application/x-msdownload application/x-elf application/x-mach-binary application/wasm',
    'application/java-vm application/java-archive application/vnd.android.package-archive',
    'application/x-deb application/x-rpm application/x-apple-diskimage application/x.apple.alias',
    'application/x.ms.shortcut application/vnd.ms-cab-compressed application/vnd.ms-htmlhelp',
    'application/x-google-chrome-extension application/x-xpinstall application/x-shockwave-flash',
    'application/x-ms-regedit application/x-asar',
  ].flatMap((line) => line.split(' ')),
)

/** Throws `file_type_refused`. Magic numbers of two letters also begin honest text ("MZ", "BM"), hence the order. */
export async function kindOf(head: Buffer): Promise<Kind> {
  const found = await fileTypeFromBuffer(head).catch(() => undefined)
  const type = found?.mime.split(';')[0] ?? ''
  const name = said.get(type)
  if (name) return { mimeType: name, text: false }
  const text = new TextCheck()
  text.take(head)
  if (text.clean) return { text: true, markup: /^\ufeff?\s*</.test(head.subarray(0, 4_096).toString()) }
  if (run.has(type)) throw new Failure('file_type_refused', { mimeType: type })
  return { mimeType: plainFile, text: false }
}

/** Follows a stream, and knows whether all of it so far is UTF-8 without NUL. */
export class TextCheck {
  clean = true
  readonly #decoder = new TextDecoder('utf-8', { fatal: true })

  take(chunk: Buffer): void {
    if (this.clean) this.clean = !chunk.includes(0) && this.#decodes(chunk)
  }

  /** The last character must be complete. */
  end(): boolean {
    return this.clean && this.#decodes()
  }

  #decodes(chunk?: Buffer): boolean {
    try {
      this.#decoder.decode(chunk, { stream: chunk !== undefined })
      return true
    } catch {
      return false
    }
  }
}
