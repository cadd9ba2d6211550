import type { Attachment } from '@parley/protocol'
import type { SecretNames } from './secret-names.ts'

/** What may be uploaded, by the whole extension, and as what it is served. */
const types: Record<string, string> = {
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  png: 'image/png',
  gif: 'image/gif',
  pdf: 'application/pdf',
  doc: 'application/msword',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  txt: 'text/plain; charset=utf-8',
  mp4: 'video/mp4',
  mp3: 'audio/mpeg',
  wav: 'audio/wav',
}

export const typeOfExtension = (extension: string) => types[extension]

/** Other words for the types of one extension; browsers and systems do not agree on one. */
const said: Record<string, RegExp> = {
  jpeg: /^image\/p?jpe?g$/,
  jpg: /^image\/p?jpe?g$/,
  png: /^image\/(x-)?png$/,
  gif: /^image\/gif$/,
  pdf: /^application\/(x-)?pdf$/,
  doc: /^application\/(msword|vnd\.ms-word|doc)$/,
  docx: /^application\/(vnd\.openxmlformats-officedocument\.wordprocessingml\.document|zip)$/,
  txt: /^text\/plain$/,
  mp4: /^(video|audio)\/mp4$|^application\/mp4$/,
  mp3: /^audio\/(mp3|(x-)?mpeg(-?3)?)$/,
  wav: /^audio\/(wav|wave|x-wav|vnd\.wave|x-pn-wav)$/,
}

/** Whether a file of this name, sent as this type, may come in. */
export function isAccepted(name: string, mimeType: string): boolean {
  const form = said[extensionOf(name)]
  const plain = mimeType.split(';')[0]?.trim().toLowerCase() ?? ''
  return form !== undefined && (form.test(plain) || plain === 'application/octet-stream')
}

export const extensionOf = (name: string) => /\.([a-z0-9]{1,10})$/i.exec(name)?.[1]?.toLowerCase() ?? ''

/** When an id was made stands in its first 48 bits. */
const madeAt = (uuid: string) => Number.parseInt(uuid.replaceAll('-', '').slice(0, 12), 16)

export function fileNameOf(names: SecretNames, { id, name }: Pick<Attachment, 'id' | 'name'>): string {
  const extension = extensionOf(name)
  return `file-${madeAt(id)}-${names.nameOf(id)}${extension && `.${extension}`}`
}

export const fileUrlOf = (names: SecretNames, file: Pick<Attachment, 'id' | 'name'>) =>
  `/uploads/${fileNameOf(names, file)}`

const nameForm = /^file-(\d{1,15})-([0-9a-z]{25})(?:\.([a-z0-9]{1,10}))?$/

/** The file behind a name of ours, and the extension that the name says; null for every other name. */
export function fileOfName(
  names: SecretNames,
  name: unknown,
): { attachmentId: string; extension: string } | null {
  const [, at, secret, extension = ''] = (typeof name === 'string' && nameForm.exec(name)) || []
  const attachmentId = names.uuidOf(secret)
  return attachmentId && madeAt(attachmentId) === Number(at) ? { attachmentId, extension } : null
}

export const fileOfUrl = (names: SecretNames, url: string) =>
  url.startsWith('/uploads/') ? fileOfName(names, url.slice('/uploads/'.length)) : null
