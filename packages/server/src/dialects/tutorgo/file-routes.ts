import { Readable } from 'node:stream'
import multipart, { type Multipart, type MultipartFile } from '@fastify/multipart'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  type OpenedAttachment,
  openAttachmentAs,
  prepareLinks,
  uploadAttachment,
} from '../../chat/attachments.ts'
import { answer, guestOf } from './frame.ts'
import { Refusal, refusalOf, texts } from './refusals.ts'
import { fileView, isUuid } from './translate.ts'
import type { TutorGo } from './tutorgo.ts'

const notSentText = 'Failed to upload file'
const noFile = () => new Refusal(400, 'Send one file in the field "file"')

/** Files up, before the message that names them, and down, for the two who see that message. */
export async function fileRoutes(app: FastifyInstance, tutorgo: TutorGo): Promise<void> {
  const { chat, door } = tutorgo
  await app.register(async (scope) => {
    await scope.register(multipart)
    scope.addHook('onReady', () => prepareLinks(chat))
    scope.post('/chat/attachments', { config: { tutorgoFault: notSentText } }, async (request, reply) => {
      const { actor } = await guestOf(tutorgo, request)
      const file = await receive(request, chat.config.uploadBytes, (name, bytes) =>
        uploadAttachment(chat, actor, { conversationId: null, name, bytes }),
      )
      return reply
        .code(201)
        .send(answer(tutorgo, 'File uploaded successfully', fileView(file, door.mount.base)))
    })
  })
  app.get<{ Params: { id: string } }>(
    '/chat/attachments/:id',
    { config: { tutorgoFault: 'Failed to retrieve file' } },
    async (request, reply) => {
      const { actor } = await guestOf(tutorgo, request)
      const attachmentId = request.params.id
      if (!isUuid(attachmentId)) throw notYours()
      try {
        return sendFile(reply, await openAttachmentAs(chat, actor, { attachmentId }))
      } catch (error) {
        // Somebody else's and not there look the same.
        throw refusalOf(error, 'Failed to retrieve file', { not_found: notYours() }).refusal
      }
    },
  )
}

const notYours = () => new Refusal(403, texts.notYours)

/** Hands the one file of the body to `store` while it arrives; what is left of a refused body is dropped. */
async function receive<T>(
  request: FastifyRequest,
  limit: number,
  store: (name: string, bytes: Readable) => Promise<T>,
): Promise<T> {
  try {
    if (!request.isMultipart()) throw noFile()
    const parts = request.parts({ limits: { fileSize: limit + 1, files: 2, fields: 2, parts: 3 } })
    const file = await nextPart(parts)
    if (file?.type !== 'file' || file.fieldname !== 'file') {
      if (file?.type === 'file') file.file.destroy()
      throw noFile()
    }
    return await store(file.filename ?? '', Readable.from(only(file, parts), { objectMode: false }))
  } catch (error) {
    request.raw.unpipe()
    request.raw.resume()
    throw error
  }
}

async function* only(file: MultipartFile, parts: AsyncIterableIterator<Multipart>) {
  try {
    yield* file.file
  } catch {
    throw noFile()
  }
  const more = await nextPart(parts)
  if (more?.type === 'file') more.file.destroy()
  if (more) throw noFile()
}

async function nextPart(parts: AsyncIterableIterator<Multipart>): Promise<Multipart | undefined> {
  try {
    const { value, done } = await parts.next()
    return done ? undefined : value
  } catch {
    throw noFile()
  }
}

/** Nothing sent here can act as a page or a script of ours: it is only ever saved. */
function sendFile(reply: FastifyReply, file: OpenedAttachment) {
  return reply
    .headers({
      'content-type': file.mimeType === 'text/plain' ? 'text/plain; charset=utf-8' : file.mimeType,
      'x-content-type-options': 'nosniff',
      'content-disposition': `attachment; filename*=UTF-8''${encoded(file.name)}`,
      'content-security-policy': "sandbox; default-src 'none'",
      'referrer-policy': 'no-referrer',
      'cache-control': 'private, no-store',
      'content-length': file.size,
    })
    .send(file.bytes)
}

const encoded = (name: string) =>
  encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  )
