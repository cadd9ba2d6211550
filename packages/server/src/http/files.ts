import { Readable } from 'node:stream'
import multipart, { type Multipart, type MultipartFile } from '@fastify/multipart'
import { operations } from '@parley/protocol'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Actor } from '../chat/actor.ts'
import { type OpenedAttachment, openAttachment, prepareLinks, uploadAttachment } from '../chat/attachments.ts'
import type { Chat } from '../chat/chat.ts'
import { Failure, invalid, notFound } from '../chat/failure.ts'
import { requirePlainBody } from './body-coding.ts'
import { type ByteRange, rangeOf, within } from './byte-range.ts'
import { dispositionOf } from './content-disposition.ts'

type Authenticate = (request: FastifyRequest) => Promise<Actor>

/** What a multipart body may weigh beside its one file. */
const frameBytes = 16_384

/** Files up and down: the two operations whose bodies are not JSON. */
export async function fileRoutes(
  app: FastifyInstance,
  chat: Chat,
  authenticate: Authenticate,
): Promise<void> {
  await app.register(async (scope) => {
    if (!scope.hasContentTypeParser('multipart/form-data')) await scope.register(multipart)
    scope.addHook('onReady', () => prepareLinks(chat))
    scope.post('/api/v1/conversations/:conversationId/attachments', async (request, reply) => {
      const { conversationId } = request.params as { conversationId: string }
      const actor = await authenticate(request)
      if (!isId(conversationId)) throw notFound()
      try {
        const attachment = await receiveFile(request, chat.config.uploadBytes, (name, bytes) =>
          uploadAttachment(chat, actor, { conversationId, name, bytes }),
        )
        return reply.code(operations['attachment.upload'].status).send(attachment)
      } catch (error) {
        drain(request)
        throw error
      }
    })
    scope.get('/api/v1/files/:attachmentId', async (request, reply) => {
      const link = linkOf(request)
      return sendFile(request, reply, await openAttachment(chat, link), link.expires)
    })
  })
}

const idForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const isId = (text: unknown): text is string => typeof text === 'string' && idForm.test(text)

/** Hands the one file of a multipart body to `store` while it arrives; anything beside it in the body is refused. */
async function receiveFile<T>(
  request: FastifyRequest,
  limit: number,
  store: (name: string, bytes: Readable) => Promise<T>,
): Promise<T> {
  if (!request.isMultipart()) throw new Failure('unsupported_media_type')
  requirePlainBody(request.headers)
  if (Number(request.headers['content-length']) > limit + frameBytes)
    throw new Failure('too_large', { limit })
  if (request.raw.destroyed && !request.raw.readableEnded) throw brokenOff()
  const parts = request.parts({
    // The verb counts the bytes; one more than it accepts is enough for it to notice.
    limits: { fileSize: limit + 1, files: 2, fields: 2, fieldSize: 1_024, headerPairs: 20, parts: 3 },
  })
  const file = await nextPart(parts)
  if (file?.type !== 'file' || file.fieldname !== 'file') {
    if (file?.type === 'file') file.file.destroy()
    throw invalid(file?.fieldname ?? 'file', 'Send exactly one file, in the field `file`, and nothing else')
  }
  return store(file.filename ?? '', Readable.from(only(file, parts), { objectMode: false }))
}

/** The stream ends only when the body has: a second part found then still refuses the whole. */
async function* only(file: MultipartFile, parts: AsyncIterableIterator<Multipart>) {
  try {
    yield* file.file
  } catch {
    throw brokenOff()
  }
  const more = await nextPart(parts)
  if (more?.type === 'file') more.file.destroy()
  if (more) throw invalid(more.fieldname, 'Send exactly one file, in the field `file`, and nothing else')
}

async function nextPart(parts: AsyncIterableIterator<Multipart>): Promise<Multipart | undefined> {
  try {
    const { value, done } = await parts.next()
    return done ? undefined : value
  } catch {
    throw brokenOff()
  }
}

const brokenOff = () => invalid('file', 'The multipart body is malformed or broke off')

/** What is left of a refused body is read and dropped, so that its sender gets to hear the answer. */
function drain(request: FastifyRequest): void {
  request.raw.unpipe()
  request.raw.resume()
}

/** A link that is not of the right form was not made by us: there is nothing here, and no more is said. */
function linkOf(request: FastifyRequest) {
  const { attachmentId } = request.params as { attachmentId: string }
  const {
    for: reader,
    by,
    expires,
    signature,
    thumbnail = 'false',
  } = request.query as Record<string, unknown>
  if (!isId(attachmentId) || !isId(reader) || typeof signature !== 'string') throw notFound()
  if (by !== undefined && !isId(by)) throw notFound()
  if (!/^\d{1,12}$/.test(String(expires)) || !/^(true|false)$/.test(String(thumbnail))) throw notFound()
  return {
    attachmentId,
    for: reader,
    by: by ?? null,
    expires: Number(expires),
    signature,
    thumbnail: String(thumbnail) === 'true',
  }
}

/**
 * Nothing sent here can act as a page or a script of ours: the type is ours and final, the document is in a sandbox
 * without any source, and what we did not encode ourselves is only ever saved. Pages of other origins may embed it,
 * since widgets live there.
 */
function sendFile(request: FastifyRequest, reply: FastifyReply, file: OpenedAttachment, expires: number) {
  const range = rangeOf(request.headers, file.size)
  if (range === 'unsatisfiable') {
    file.bytes.destroy()
    reply.header('content-range', `bytes */${file.size}`)
    throw new Failure('range_not_satisfiable')
  }
  reply.headers({
    'content-type': file.mimeType === 'text/plain' ? 'text/plain; charset=utf-8' : file.mimeType,
    'x-content-type-options': 'nosniff',
    'content-disposition': dispositionOf(file.disposition, file.name),
    'cache-control': `private, max-age=${Math.max(0, expires - Math.ceil(Date.now() / 1_000))}, immutable`,
    'content-security-policy': "sandbox; default-src 'none'",
    'cross-origin-resource-policy': 'cross-origin',
    'referrer-policy': 'no-referrer',
    'accept-ranges': 'bytes',
  })
  return range ? sendRange(reply, file, range) : reply.header('content-length', file.size).send(file.bytes)
}

function sendRange(reply: FastifyReply, file: OpenedAttachment, range: ByteRange) {
  return reply
    .code(206)
    .header('content-range', `bytes ${range.first}-${range.last}/${file.size}`)
    .header('content-length', range.last - range.first + 1)
    .send(Readable.from(within(file.bytes, range), { objectMode: false }))
}
