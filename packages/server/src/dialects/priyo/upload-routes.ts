import { Readable } from 'node:stream'
import multipart, { type MultipartFile } from '@fastify/multipart'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Actor } from '../../chat/actor.ts'
import { openByName, prepareLinks, uploadAttachment } from '../../chat/attachments.ts'
import { Failure, notFound } from '../../chat/failure.ts'
import { extensionOf, fileNameOf, fileOfName, fileUrlOf, isAccepted, typeOfExtension } from './files.ts'
import type { Priyo } from './priyo.ts'
import { Refusal } from './refusals.ts'
import { whoAsks } from './who.ts'

const defaultBytes = 5_242_880
const mebibyte = 1_048_576

export async function uploadRoutes(app: FastifyInstance, priyo: Priyo): Promise<void> {
  const limit = Number(priyo.door.mount.options.maxFileSize ?? defaultBytes)
  await app.register(async (scope) => {
    await scope.register(multipart)
    scope.addHook('onReady', () => prepareLinks(priyo.chat))
    scope.post('/api/upload', { bodyLimit: limit + mebibyte }, async (request) => {
      try {
        const { actor } = await whoAsks(priyo, request)
        return await receive(priyo, actor, request, limit)
      } catch (error) {
        // What is left of a refused body is dropped, so that its sender gets to hear the answer.
        request.raw.unpipe()
        request.raw.resume()
        throw error instanceof Failure && error.code === 'too_large' ? tooLarge(limit) : error
      }
    })
  })
  const config = { priyo: { missing: 'File not found', open: true } }
  for (const url of ['/api/upload/:filename', '/uploads/:filename']) {
    app.get(url, { config }, (request, reply) => serve(priyo, request, reply))
  }
}

const tooLarge = (limit: number) =>
  new Refusal(413, { error: 'File too large', maxSize: `${Number((limit / mebibyte).toFixed(2))}MB` })

async function receive(priyo: Priyo, actor: Actor, request: FastifyRequest, limit: number) {
  const part = request.isMultipart() ? await firstFile(request, limit) : undefined
  if (!part) throw new Refusal(400, 'No file uploaded')
  const originalName = part.filename ?? ''
  if (!isAccepted(originalName, part.mimetype)) throw new Refusal(400, 'Invalid file type')
  if (!originalName.isWellFormed() || originalName.includes('\0')) throw new Failure('bad_text')
  const attachment = await uploadAttachment(priyo.chat, actor, {
    conversationId: null,
    name: originalName,
    bytes: Readable.from(bytesOf(part), { objectMode: false }),
    limit,
  })
  return {
    message: 'File uploaded successfully',
    file: {
      url: fileUrlOf(priyo.files, attachment),
      originalName,
      filename: fileNameOf(priyo.files, attachment),
      size: attachment.size,
      mimetype: part.mimetype,
    },
  }
}

/** The file in the field `file`; fields before it are passed over, and one of another name is no file. */
async function firstFile(request: FastifyRequest, limit: number): Promise<MultipartFile | undefined> {
  try {
    // The verb counts the bytes; one more than it accepts is enough for it to notice.
    const limits = { fileSize: limit + 1, files: 1, fields: 10, fieldSize: 1_024, headerPairs: 20, parts: 11 }
    for await (const part of request.parts({ limits })) {
      if (part.type !== 'file') continue
      if (part.fieldname === 'file') return part
      part.file.resume()
    }
    return undefined
  } catch {
    throw new Refusal(400, 'No file uploaded')
  }
}

async function* bytesOf(part: MultipartFile) {
  try {
    yield* part.file
  } catch {
    throw new Refusal(400, 'No file uploaded')
  }
}

/** Whoever knows the name may have the file, as what its extension says. Nothing here can act as a page of ours. */
async function serve(priyo: Priyo, request: FastifyRequest, reply: FastifyReply) {
  const found = fileOfName(priyo.files, (request.params as { filename: string }).filename)
  if (!found) throw notFound()
  const file = await openByName(priyo.chat, priyo.workspaceId, found.attachmentId)
  const type = typeOfExtension(found.extension)
  if (extensionOf(file.name) !== found.extension) {
    file.bytes.destroy()
    throw notFound()
  }
  return reply
    .headers({
      'content-type': type ?? 'application/octet-stream',
      'content-length': file.size,
      'cache-control': 'private, max-age=300',
      'content-security-policy': "sandbox; default-src 'none'",
      'content-disposition': type ? 'inline' : 'attachment',
    })
    .send(file.bytes)
}
