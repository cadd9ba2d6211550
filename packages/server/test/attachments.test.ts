import { createHash, randomBytes, randomUUIDv7 } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { deflateSync } from 'node:zlib'
import type { Attachment, Message } from '@parley/protocol'
import Fastify, { type FastifyInstance } from 'fastify'
import pg from 'pg'
import sharp from 'sharp'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { diskBlobs } from '../src/blobs-disk.ts'
import type { Actor } from '../src/chat/actor.ts'
import { cleanFileName } from '../src/chat/attachments/file-name.ts'
import {
  attachmentsOf,
  attachmentView,
  getAttachment,
  linkedMessage,
  openAttachment,
  type SweptBlobs,
  sweepAttachments,
  uploadAttachment,
} from '../src/chat/attachments.ts'
import type { Chat } from '../src/chat/chat.ts'
import { Failure } from '../src/chat/failure.ts'
import { readConfig } from '../src/config.ts'
import { dispositionOf } from '../src/http/content-disposition.ts'
import { fileRoutes } from '../src/http/files.ts'
import { openStore } from '../src/store/store.ts'

const database = `parley_att_${process.pid}_${randomBytes(3).toString('hex')}`
const databaseUrl =
  process.env.TEST_STORE === 'embedded' ? null : `postgres://postgres@127.0.0.1:5432/${database}`
const uploadBytes = 400_000
const hour = 3_600_000

let folder: string
let chat: Chat & { blobs: SweptBlobs }
let app: FastifyInstance
let origin: string

beforeAll(async () => {
  if (databaseUrl) await administer(`create database ${database}`)
  folder = await mkdtemp(join(tmpdir(), 'parley-att-'))
  const store = await openStore({ databaseUrl, dataDir: join(folder, 'data'), poolSize: 5 })
  const config = { ...readConfig({}), uploadBytes }
  const blobs = diskBlobs(join(folder, 'files'))
  chat = { store, db: store.db, config, blobs, sends: {} as Chat['sends'], announce: () => {} }
  app = Fastify({ forceCloseConnections: true })
  app.setErrorHandler((error, _request, reply) => {
    if (!(error instanceof Failure)) return reply.code(500).send({ code: 'internal', error: String(error) })
    return reply.code(error.status).send({ code: error.code, ...error.details })
  })
  await fileRoutes(app, chat, async (request) => {
    await sleep(Number(request.headers['x-slow'] ?? 0))
    const actor = actors.get(String(request.headers.authorization))
    if (!actor) throw new Failure('unauthenticated')
    return actor
  })
  origin = await app.listen({ port: 0, host: '127.0.0.1' })
})

afterAll(async () => {
  await app?.close()
  await chat?.store.close()
  if (databaseUrl) await administer(`drop database if exists ${database} with (force)`)
  if (folder) await rm(folder, { recursive: true, force: true })
})

async function administer(statement: string) {
  const client = new pg.Client('postgres://postgres@127.0.0.1:5432/postgres')
  await client.connect()
  await client.query(statement).finally(() => client.end())
}

/** ana: a contact who takes part; sam: an agent of the inbox; eve: a contact of the workspace who does not. */
type Scene = { conversationId: string; ana: Actor; sam: Actor; eve: Actor; mallory: Actor }
const actors = new Map<string, Actor>()
let scene: Scene

beforeEach(async () => {
  vi.useRealTimers()
  scene = await setScene()
  for (const actor of [scene.ana, scene.sam, scene.eve, scene.mallory]) actors.set(actor.userId, actor)
})

const query = (text: string, values: unknown[] = []) => chat.store.pool.query(text, values)

async function setScene(): Promise<Scene> {
  const [workspaceId, inboxId, conversationId] = [randomUUIDv7(), randomUUIDv7(), randomUUIDv7()]
  await query('insert into workspace (id, slug, name) values ($1, $2, $3)', [
    workspaceId,
    workspaceId,
    'here',
  ])
  await query("insert into inbox (workspace_id, id, name, widget_key) values ($1, $2, 'desk', $3)", [
    workspaceId,
    inboxId,
    randomUUIDv7(),
  ])
  const ana = await person(workspaceId, 'ana', 'contact')
  const sam = await person(workspaceId, 'sam', 'agent', [inboxId])
  const eve = await person(workspaceId, 'eve', 'contact')
  const elsewhere = randomUUIDv7()
  await query('insert into workspace (id, slug, name) values ($1, $2, $3)', [
    elsewhere,
    elsewhere,
    'elsewhere',
  ])
  const mallory = await person(elsewhere, 'mallory', 'owner')
  await query("insert into conversation (workspace_id, id, kind, inbox_id) values ($1, $2, 'support', $3)", [
    workspaceId,
    conversationId,
    inboxId,
  ])
  await query(
    "insert into participant (workspace_id, conversation_id, person_id, role) values ($1, $2, $3, 'contact')",
    [workspaceId, conversationId, ana.userId],
  )
  return { conversationId, ana, sam, eve, mallory }
}

async function person(
  workspaceId: string,
  name: string,
  role: Actor['role'],
  inboxIds: string[] = [],
): Promise<Actor> {
  const userId = randomUUIDv7()
  const sessionId = randomUUIDv7()
  await query('insert into person (workspace_id, id, role, name) values ($1, $2, $3, $4)', [
    workspaceId,
    userId,
    role,
    name,
  ])
  await query(
    "insert into session (workspace_id, id, person_id, kind, expires_at) values ($1, $2, $3, 'password', now() + '1 day')",
    [workspaceId, sessionId, userId],
  )
  for (const inboxId of inboxIds) {
    await query('insert into inbox_member (workspace_id, inbox_id, person_id) values ($1, $2, $3)', [
      workspaceId,
      inboxId,
      userId,
    ])
  }
  return {
    workspaceId,
    userId,
    name,
    role,
    sessionId,
    inboxIds,
    visitorInboxId: null,
    verified: true,
    address: null,
  }
}

const upload = (actor: Actor, bytes: Buffer | Readable, name = 'file.bin', to = scene.conversationId) =>
  uploadAttachment(chat, actor, {
    conversationId: to,
    name,
    bytes: Buffer.isBuffer(bytes) ? inPieces(bytes) : bytes,
  })

function inPieces(bytes: Buffer, size = 7_001): Readable {
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
    bytes.subarray(n * size, (n + 1) * size),
  )
  return Readable.from(pieces, { objectMode: false })
}

let seq = 0
async function send(attachment: Attachment, visibility: 'everyone' | 'agents' = 'everyone') {
  const { ana, conversationId } = scene
  const messageId = randomUUIDv7()
  seq += 1
  await query(
    `insert into message (workspace_id, conversation_id, seq, id, sender_role, kind, body, visibility, send_key,
      content_hash, ordinal, note_ordinal) values ($1, $2, $3, $4, 'agent', 'file', '', $5, $4, $4, 0, 0)`,
    [ana.workspaceId, conversationId, seq, messageId, visibility],
  )
  await query('update attachment set message_id = $1 where id = $2', [messageId, attachment.id])
  return messageId
}

function linkOf(url: string) {
  const { pathname, searchParams } = new URL(url, origin)
  return {
    attachmentId: pathname.split('/').at(-1) ?? '',
    for: searchParams.get('for') ?? '',
    by: searchParams.get('by'),
    expires: Number(searchParams.get('expires')),
    signature: searchParams.get('signature') ?? '',
    thumbnail: searchParams.get('thumbnail') === 'true',
  }
}

async function download(url: string) {
  const { bytes, ...rest } = await openAttachment(chat, linkOf(url))
  return { ...rest, content: await buffer(bytes) }
}

const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error) => (error instanceof Failure ? error.code : `fault: ${error}`),
  )

const filesOnDisk = async () =>
  (await readdir(join(folder, 'files'), { recursive: true, withFileTypes: true }).catch(() => []))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const photo = (width = 900, height = 600) =>
  sharp({ create: { width, height, channels: 3, background: '#2f6f5e' } })

describe('[G16] what was acknowledged', () => {
  test('comes back byte for byte, with a thumbnail of our own', async () => {
    const bytes = await photo().jpeg().toBuffer()
    const attachment = await upload(scene.ana, bytes, 'garden.jpg')
    expect(attachment).toMatchObject({
      name: 'garden.jpg',
      size: bytes.length,
      mimeType: 'image/jpeg',
      sha256: sha256(bytes),
      width: 900,
      height: 600,
    })
    const file = await download(attachment.url)
    expect(file).toMatchObject({ size: bytes.length, mimeType: 'image/jpeg', disposition: 'attachment' })
    expect(file.content.equals(bytes)).toBe(true)
    const thumbnail = await download(attachment.thumbnailUrl ?? '')
    expect(thumbnail).toMatchObject({ mimeType: 'image/webp', disposition: 'inline' })
    expect(await sharp(thumbnail.content).metadata()).toMatchObject({
      format: 'webp',
      width: 480,
      height: 320,
    })
  })

  test('may be empty, or exactly as large as allowed', async () => {
    const empty = await upload(scene.ana, Buffer.alloc(0), 'empty.txt')
    expect(empty).toMatchObject({ size: 0, mimeType: 'text/plain', sha256: sha256(Buffer.alloc(0)) })
    const full = randomBytes(uploadBytes)
    expect((await download((await upload(scene.ana, full)).url)).content.equals(full)).toBe(true)
  })

  test('turns pictures upright and leaves out what the camera wrote', async () => {
    const sideways = await photo(300, 100)
      .withExif({ IFD0: { Copyright: 'ana', Orientation: '6' } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer()
    const attachment = await upload(scene.ana, sideways, 'sideways.jpg')
    expect(attachment).toMatchObject({ width: 100, height: 300 })
    const { content } = await download(attachment.thumbnailUrl ?? '')
    expect((await sharp(content).metadata()).exif).toBeUndefined()
  })

  test('is found with its message', async () => {
    const attachment = await upload(scene.ana, Buffer.from('hello'), 'a.txt')
    const messageId = await send(attachment)
    const rows = (await attachmentsOf(chat.db, scene.ana.workspaceId, [messageId])).get(messageId) ?? []
    expect(rows.map(attachmentView)).toEqual([
      { ...attachment, url: `/api/v1/files/${attachment.id}`, thumbnailUrl: null },
    ])
    expect((await attachmentsOf(chat.db, scene.mallory.workspaceId, [messageId])).size).toBe(0)
  })
})

describe('[G16] what was not acknowledged', () => {
  test('leaves nothing when it is too large', async () => {
    const before = await filesOnDisk()
    expect(await refusal(upload(scene.ana, randomBytes(uploadBytes + 1)))).toBe('too_large')
    expect(await filesOnDisk()).toEqual(before)
  })

  test('is refused the moment it passes the limit, without reading on', async () => {
    let given = 0
    async function* endless() {
      for (;;) {
        given += 50_000
        yield randomBytes(50_000)
      }
    }
    expect(await refusal(upload(scene.ana, Readable.from(endless(), { objectMode: false })))).toBe(
      'too_large',
    )
    expect(given).toBeLessThan(uploadBytes + 500_000)
  })

  test('leaves nothing when the sender goes away', async () => {
    const before = await filesOnDisk()
    const bytes = new PassThrough()
    bytes.write(randomBytes(300_000))
    const uploading = refusal(upload(scene.ana, bytes))
    await sleep(100)
    bytes.destroy(new Error('gone'))
    expect(await uploading).toBe('fault: Error: gone')
    expect(await filesOnDisk()).toEqual(before)
    expect(
      (await query('select 1 from attachment where uploader_id = $1', [scene.ana.userId])).rowCount,
    ).toBe(0)
  })

  test('leaves nothing when its uploader is put out meanwhile', async () => {
    const before = await filesOnDisk()
    const bytes = new PassThrough()
    bytes.write(randomBytes(300_000))
    const uploading = refusal(upload(scene.ana, bytes))
    await sleep(100)
    await query('update participant set left_at = now() where person_id = $1', [scene.ana.userId])
    bytes.end()
    expect(await uploading).toBe('not_found')
    expect(await filesOnDisk()).toEqual(before)
  })

  test('can not be read after a crash between bytes and row, and is swept', async () => {
    const kept = await upload(scene.ana, Buffer.from('kept'), 'kept.txt')
    const orphan = randomUUIDv7()
    await chat.blobs.put(orphan, Readable.from([Buffer.from('orphan')]))
    await chat.blobs.put(`${orphan}.thumbnail`, Readable.from([Buffer.from('orphan')]))
    const place = (await filesOnDisk()).find((path) => path.endsWith(orphan)) ?? ''
    await writeFile(`${place}.0123456789ab.unfinished`, 'half')
    expect(await refusal(getAttachment(chat, scene.ana, { attachmentId: orphan }))).toBe('not_found')
    expect(await sweepAttachments(chat, hour)).toEqual({ unsent: 0, orphans: 0, unfinished: 0 })
    const longAgo = new Date(Date.now() - hour - 1_000)
    for (const path of await filesOnDisk()) await utimes(path, longAgo, longAgo)
    expect(await sweepAttachments(chat, hour)).toEqual({ unsent: 0, orphans: 2, unfinished: 1 })
    expect((await filesOnDisk()).filter((path) => path.includes(orphan))).toEqual([])
    expect((await download(kept.url)).content.toString()).toBe('kept')
  })

  test('is swept with its bytes when it was not sent within a day', async () => {
    const picture = await photo().png().toBuffer()
    const [old, sent, fresh] = [
      await upload(scene.ana, picture),
      await upload(scene.ana, picture),
      await upload(scene.ana, picture),
    ]
    await send(sent)
    await query("update attachment set created_at = now() - interval '25 hours' where id = any ($1)", [
      [old.id, sent.id],
    ])
    expect(await sweepAttachments(chat, hour)).toMatchObject({ unsent: 1 })
    expect((await filesOnDisk()).filter((path) => path.includes(old.id))).toEqual([])
    expect(await refusal(download(old.url))).toBe('not_found')
    expect((await download(sent.url)).size).toBe(picture.length)
    expect((await download(fresh.url)).size).toBe(picture.length)
  })

  test('is refused as not applied when there is no room', async () => {
    const full: SweptBlobs = {
      ...chat.blobs,
      put: async () => {
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
      },
    }
    const bytes = Readable.from([Buffer.from('a')])
    const given = { conversationId: scene.conversationId, name: 'a', bytes }
    expect(await refusal(uploadAttachment({ ...chat, blobs: full }, scene.ana, given))).toBe('unavailable')
    expect(bytes.destroyed).toBe(true)
  })
})

describe('the type comes from the bytes', () => {
  const typeOf = async (bytes: Buffer, name = 'x') => (await upload(scene.ana, bytes, name)).mimeType
  const executable = Buffer.concat([
    Buffer.from('MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0', 'latin1'),
    Buffer.alloc(600),
  ])

  test.each([
    ['{"a": 1}', 'text/plain'],
    ['a;b\n1;ü', 'text/plain'],
    ['MZ, BMW and II* are not magic in a sentence', 'text/plain'],
    ['%PDF-1.7\n%\u00e2\n', 'application/pdf'],
    ['<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', 'application/octet-stream'],
    ['<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>', 'application/octet-stream'],
    ['\ufeff \n<!doctype html><script>alert(1)</script>', 'application/octet-stream'],
    ['a\0b', 'application/octet-stream'],
  ])('%j is %s', async (text, type) => {
    expect(await typeOf(Buffer.from(text))).toBe(type)
  })

  test('text that turns out not to be any, far behind the beginning, is a plain file', async () => {
    const long = Buffer.alloc(300_000, 'text ')
    expect(await typeOf(long)).toBe('text/plain')
    expect(await typeOf(Buffer.concat([long, Buffer.from([0xff])]))).toBe('application/octet-stream')
    expect(await typeOf(Buffer.concat([long, Buffer.from('ü').subarray(0, 1)]))).toBe(
      'application/octet-stream',
    )
  })

  test('a program is refused under any name, and a program’s name with any bytes', async () => {
    const before = await filesOnDisk()
    expect(await refusal(upload(scene.ana, executable, 'holiday.png'))).toBe('file_type_refused')
    expect(await refusal(upload(scene.ana, Buffer.from('\x7fELF\x02\x01\x01\0'), 'a.txt'))).toBe(
      'file_type_refused',
    )
    for (const name of ['invoice.pdf.EXE', 'invoice.exe. .', 'run.bat', 'invoice\u202efdp.js'])
      expect(await refusal(upload(scene.ana, Buffer.from('echo'), name)), name).toBe('file_type_refused')
    expect(await filesOnDisk()).toEqual(before)
  })

  test('a page that begins as a picture stays a picture, and is no page', async () => {
    const bytes = Buffer.concat([
      await photo(10, 10).gif().toBuffer(),
      Buffer.from('<script>alert(1)</script>'),
    ])
    const attachment = await upload(scene.ana, bytes, 'page.html')
    expect(attachment.mimeType).toBe('image/gif')
    const thumbnail = await download(attachment.thumbnailUrl ?? '')
    expect(thumbnail.content.includes('script')).toBe(false)
    expect(await typeOf(Buffer.from('GIF89a/*<svg onload=alert(1)>*/=1;'))).toBe('application/octet-stream')
  })

  test('a broken picture is a plain file', async () => {
    const bytes = (await photo().png().toBuffer()).subarray(0, 200)
    expect(await upload(scene.ana, bytes, 'half.png')).toMatchObject({
      mimeType: 'application/octet-stream',
      thumbnailUrl: null,
      width: null,
      height: null,
    })
  })

  test('a picture of more pixels than anybody has is not decoded', async () => {
    const bomb = png(9_000, 9_000)
    expect(bomb.length).toBeLessThan(20_000)
    const attachment = await upload(scene.ana, bomb, 'bomb.png')
    expect(attachment).toMatchObject({ mimeType: 'application/octet-stream', thumbnailUrl: null })
    expect((await download(attachment.url)).content.equals(bomb)).toBe(true)
    expect(await upload(scene.ana, png(900, 900), 'no bomb.png')).toMatchObject({ width: 900 })
  })

  test('many pictures at once all get their thumbnails', async () => {
    const bytes = await photo().webp().toBuffer()
    const done = await Promise.all(Array.from({ length: 8 }, () => upload(scene.ana, bytes)))
    expect(done.every((attachment) => attachment.thumbnailUrl)).toBe(true)
  })
})

/** A black PNG, one bit for each pixel: any size in a few kilobytes, and nothing wrong with it. */
function png(width: number, height: number): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([1, 0, 0, 0, 0], 8)
  const lines = deflateSync(Buffer.alloc((1 + Math.ceil(width / 8)) * height))
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', lines),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  let crc = 0xffffffff
  for (const byte of body) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  sum.writeUInt32BE((crc ^ 0xffffffff) >>> 0)
  return Buffer.concat([length, body, sum])
}

describe('names', () => {
  test.each([
    ['../../etc/passwd', 'passwd'],
    ['..\\..\\windows\\win.ini', 'win.ini'],
    ['/', 'file'],
    ['..', 'file'],
    ['', 'file'],
    ['a\r\nSet-Cookie: x=1\0.txt', 'aSet-Cookie_ x=1.txt'],
    ['invoice\u202efdp.txt', 'invoicefdp.txt'],
    ['\u200bquiet\ufeff.txt', 'quiet.txt'],
    ['a"; filename=evil.txt', 'a_; filename=evil.txt'],
    ['\ud800.txt', '\ufffd.txt'],
    ['नमस्ते 👩‍💻.txt', 'नमस्ते 👩‍💻.txt'],
  ])('%j becomes %j', (given, name) => {
    expect(cleanFileName(given)).toBe(name)
  })

  test('are cut in front of the ending, and never inside of a character', () => {
    const name = cleanFileName(`${'🦊'.repeat(300)}.tar.gz`)
    expect(name.length).toBeLessThanOrEqual(200)
    expect(name.isWellFormed()).toBe(true)
    expect(name.endsWith('🦊.tar.gz') || name.endsWith('.gz')).toBe(true)
  })

  test('cannot leave their header', () => {
    const header = dispositionOf('attachment', 'a"\r\nX: y; filename*=evil\\ü\u2028%22')
    expect(header).toMatch(/^attachment; filename="[\w .()+-]*"; filename\*=UTF-8''[\w.!~%-]*$/)
  })

  test('keys of blobs cannot leave their folder', async () => {
    for (const key of [
      '../x',
      `${randomUUIDv7()}/../../x`,
      '',
      randomUUIDv7().toUpperCase(),
      `${randomUUIDv7()}.x`,
    ]) {
      await expect((async () => chat.blobs.get(key))(), key).rejects.toThrow('not a key')
    }
  })
})

describe('who may', () => {
  test('upload: whoever takes part, and the team of the inbox', async () => {
    const hello = Buffer.from('hello')
    expect(await refusal(upload(scene.ana, hello))).toBe('accepted')
    expect(await refusal(upload(scene.sam, hello))).toBe('accepted')
    expect(await refusal(upload(scene.eve, hello))).toBe('not_found')
    expect(await refusal(upload(scene.mallory, hello))).toBe('not_found')
    await query("update conversation set status = 'archived' where id = $1", [scene.conversationId])
    expect(await refusal(upload(scene.ana, hello))).toBe('conversation_archived')
  })

  test('upload where a grant is needed: only with one that says attach', async () => {
    const { ana, sam, conversationId } = scene
    await query('update conversation set grant_required = true where id = $1', [conversationId])
    await query(
      "insert into participant (workspace_id, conversation_id, person_id, role) values ($1, $2, $3, 'agent')",
      [ana.workspaceId, conversationId, sam.userId],
    )
    expect(await refusal(upload(ana, Buffer.from('x')))).toBe('grant_required')
    await query(
      "insert into access_grant (workspace_id, id, person_a, person_b, scopes) values ($1, $2, $3, $4, '{write}')",
      [ana.workspaceId, randomUUIDv7(), ...[ana.userId, sam.userId].sort()],
    )
    expect(await refusal(upload(ana, Buffer.from('x')))).toBe('grant_required')
    await query("update access_grant set scopes = '{write,attach}' where workspace_id = $1", [
      ana.workspaceId,
    ])
    expect(await refusal(upload(ana, Buffer.from('x')))).toBe('accepted')
  })

  test('see it before it is sent: its uploader alone', async () => {
    const { id: attachmentId } = await upload(scene.ana, Buffer.from('draft'))
    expect(await refusal(getAttachment(chat, scene.ana, { attachmentId }))).toBe('accepted')
    expect(await refusal(getAttachment(chat, scene.sam, { attachmentId }))).toBe('not_found')
  })

  test('see it once it is sent: those who see its message', async () => {
    const attachment = await upload(scene.ana, Buffer.from('sent'))
    await send(attachment)
    const given = { attachmentId: attachment.id }
    expect((await download((await getAttachment(chat, scene.sam, given)).url)).content.toString()).toBe(
      'sent',
    )
    expect(await refusal(getAttachment(chat, scene.eve, given))).toBe('not_found')
    expect(await refusal(getAttachment(chat, scene.mallory, given))).toBe('not_found')
  })

  test('see the file of a note: the team alone, even if its uploader is none of it', async () => {
    const attachment = await upload(scene.sam, Buffer.from('between us'))
    await send(attachment, 'agents')
    expect(await refusal(getAttachment(chat, scene.sam, { attachmentId: attachment.id }))).toBe('accepted')
    expect(await refusal(getAttachment(chat, scene.ana, { attachmentId: attachment.id }))).toBe('not_found')
    expect(await refusal(download(attachment.url))).toBe('accepted')
    const link = linkOf(attachment.url)
    expect(await refusal(openAttachment(chat, { ...link, for: scene.ana.userId }))).toBe('not_found')
    await query("update person set role = 'contact' where id = $1", [scene.sam.userId])
    expect(await refusal(download(attachment.url))).toBe('not_found')
  })

  test('see it after it is taken back: nobody', async () => {
    const attachment = await upload(scene.ana, Buffer.from('oops'))
    const messageId = await send(attachment)
    await query('update message set retracted_at = now() where id = $1', [messageId])
    expect(await refusal(download(attachment.url))).toBe('not_found')
    expect(await refusal(getAttachment(chat, scene.sam, { attachmentId: attachment.id }))).toBe('not_found')
  })

  test.each([
    [
      'the conversation is deleted',
      'update conversation set deleted_at = now() where id = $1',
      'conversationId',
    ],
    ['they leave', 'update participant set left_at = now() where person_id = $1', 'ana'],
    ['they are deactivated', 'update person set deactivated_at = now() where id = $1', 'ana'],
    ['they sign out', 'update session set revoked_at = now() where person_id = $1', 'ana'],
    [
      'their session ends',
      "update session set expires_at = now() - interval '1 second' where person_id = $1",
      'ana',
    ],
  ] as const)('a link dies when %s', async (_when, statement, whose) => {
    const attachment = await upload(scene.ana, Buffer.from('x'))
    await send(attachment)
    expect(await refusal(download(attachment.url))).toBe('accepted')
    await query(statement, [whose === 'ana' ? scene.ana.userId : scene.conversationId])
    expect(await refusal(download(attachment.url))).toBe('not_found')
  })
})

describe('links', () => {
  test('stay the same within an hour, then expire', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Math.ceil(Date.now() / hour) * hour + 60_000 })
    const attachment = await upload(scene.ana, Buffer.from('x'))
    const again = () => getAttachment(chat, scene.ana, { attachmentId: attachment.id })
    vi.setSystemTime(Date.now() + 58 * 60_000)
    expect((await again()).url).toBe(attachment.url)
    vi.setSystemTime(Date.now() + 2 * 60_000)
    expect((await again()).url).not.toBe(attachment.url)
    expect(await refusal(download(attachment.url))).toBe('accepted')
    vi.setSystemTime(Date.now() + hour)
    expect(await refusal(download(attachment.url))).toBe('not_found')
  })

  test('are put into a message for each of its readers', async () => {
    const attachment = await upload(scene.ana, await photo().png().toBuffer())
    const messageId = await send(attachment)
    const rows = (await attachmentsOf(chat.db, scene.ana.workspaceId, [messageId])).get(messageId) ?? []
    const shared = { id: messageId, attachments: rows.map(attachmentView) } as Message
    expect(linkedMessage(chat, shared, scene.ana).attachments).toEqual([attachment])
    const [forSam] = linkedMessage(chat, shared, scene.sam).attachments
    expect(forSam?.url).not.toBe(attachment.url)
    expect((await download(forSam?.thumbnailUrl ?? '')).mimeType).toBe('image/webp')
    expect(await refusal(download(shared.attachments[0]?.url ?? ''))).toBe('not_found')
  })

  test('hold only exactly as signed', async () => {
    const attachment = await upload(scene.ana, Buffer.from('x'))
    const other = await upload(scene.ana, Buffer.from('y'))
    const link = linkOf(attachment.url)
    const { signature } = link
    const flipped = (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1)
    const forgeries = [
      { ...link, expires: link.expires + 3_600 },
      { ...link, for: scene.sam.userId },
      { ...link, by: null },
      { ...link, by: scene.sam.sessionId },
      { ...link, attachmentId: other.id },
      { ...link, signature: flipped },
      { ...link, signature: signature.slice(0, -1) },
      { ...link, signature: `${signature.slice(0, -1)}\n` },
      { ...link, signature: '' },
      { ...link, expires: Number.NaN },
      { ...link, signature: linkOf((await upload(scene.sam, Buffer.from('z'))).url).signature },
    ]
    for (const forged of forgeries) expect(await refusal(openAttachment(chat, forged))).toBe('not_found')
    expect(await refusal(openAttachment(chat, { ...link, thumbnail: true }))).toBe('not_found')
    expect(await refusal(openAttachment(chat, link))).toBe('accepted')
  })

  test.skipIf(!databaseUrl)('hold on every node: the secret lies in the store', async () => {
    const attachment = await upload(scene.ana, Buffer.from('x'))
    const store = await openStore({ databaseUrl, dataDir: folder, poolSize: 2 })
    try {
      const opened = await openAttachment({ ...chat, store, db: store.db }, linkOf(attachment.url))
      expect((await buffer(opened.bytes)).toString()).toBe('x')
    } finally {
      await store.close()
    }
  })
})

describe('over HTTP', () => {
  const path = () => `${origin}/api/v1/conversations/${scene.conversationId}/attachments`
  const headers = (actor: Actor = scene.ana) => ({ authorization: actor.userId })
  const post = async (form: FormData, actor?: Actor) => {
    const response = await fetch(path(), { method: 'POST', body: form, headers: headers(actor) })
    return { status: response.status, body: (await response.json()) as Attachment & { code?: string } }
  }
  const formOf = (...files: [field: string, bytes: Buffer | string, name?: string, type?: string][]) => {
    const form = new FormData()
    for (const [field, bytes, name, type] of files) {
      if (typeof bytes === 'string') form.append(field, bytes)
      else form.append(field, new Blob([new Uint8Array(bytes)], type ? { type } : {}), name)
    }
    return form
  }

  test('a file goes up and comes down, and can do nothing there', async () => {
    const html = Buffer.from('<!doctype html><script>alert(document.cookie)</script>')
    const { status, body } = await post(formOf(['file', html, 'Öffne "mich";\r\n.html', 'text/html']))
    expect([status, body.mimeType]).toEqual([201, 'application/octet-stream'])
    const response = await fetch(origin + body.url)
    expect(Buffer.from(await response.arrayBuffer()).equals(html)).toBe(true)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': String(html.length),
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
      'cross-origin-resource-policy': 'cross-origin',
    })
    expect(response.headers.get('content-disposition')).toMatch(
      /^attachment; filename="_ffne .*; filename\*=UTF-8''%C3%96ffne/,
    )
    const age = Number(
      /^private, max-age=(\d+), immutable$/.exec(response.headers.get('cache-control') ?? '')?.[1],
    )
    expect(age).toBeGreaterThan(3_500)
    expect(age).toBeLessThanOrEqual(7_200)
  })

  test('text is said to be UTF-8 and keeps its type', async () => {
    const { body } = await post(formOf(['file', Buffer.from('grüße'), 'a.txt', 'text/html']))
    const response = await fetch(origin + body.url)
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(await response.text()).toBe('grüße')
  })

  test('a thumbnail is shown, its original is saved', async () => {
    const { body } = await post(formOf(['file', await photo().png().toBuffer(), 'a.png']))
    const shown = await fetch(origin + body.thumbnailUrl)
    expect(shown.headers.get('content-disposition')).toMatch(/^inline; filename="a.png.webp"/)
    expect(shown.headers.get('content-type')).toBe('image/webp')
    expect((await fetch(origin + body.url)).headers.get('content-disposition')).toMatch(/^attachment;/)
    await shown.arrayBuffer()
  })

  test('exactly one file, in the field `file`', async () => {
    const before = await filesOnDisk()
    const a = Buffer.from('a')
    const forms: FormData[] = [
      formOf(),
      formOf(['file', 'no file but text']),
      formOf(['avatar', a, 'a.txt']),
      formOf(['file', a, 'a.txt'], ['file', a, 'b.txt']),
      formOf(['file', a, 'a.txt'], ['more', randomBytes(200_000), 'b.bin']),
      formOf(['name', 'x'], ['file', a, 'a.txt']),
      formOf(['file', a, 'a.txt'], ['name', 'x']),
      formOf(['file', a, 'a.txt'], ['__proto__', 'x']),
    ]
    for (const [n, form] of forms.entries()) {
      const { status, body } = await post(form)
      expect([n, status, body.code]).toEqual([n, 400, 'invalid_request'])
    }
    expect(await filesOnDisk()).toEqual(before)
  })

  test('other bodies, other people, other places', async () => {
    const json = await fetch(path(), {
      method: 'POST',
      body: '{}',
      headers: { ...headers(), 'content-type': 'application/json' },
    })
    expect([json.status, await json.json()]).toEqual([415, { code: 'unsupported_media_type' }])
    const noBoundary = await fetch(path(), {
      method: 'POST',
      body: 'x',
      headers: { ...headers(), 'content-type': 'multipart/form-data' },
    })
    expect(noBoundary.status).toBe(400)
    const garbage = await fetch(path(), {
      method: 'POST',
      body: '--x\r\nnonsense',
      headers: { ...headers(), 'content-type': 'multipart/form-data; boundary=x' },
    })
    expect(garbage.status).toBe(400)
    const form = formOf(['file', Buffer.from('a'), 'a.txt'])
    expect((await post(form, scene.eve)).status).toBe(404)
    expect((await post(form, scene.mallory)).status).toBe(404)
    expect((await fetch(path(), { method: 'POST', body: form })).status).toBe(401)
    const nowhere = path().replace(scene.conversationId, "1' or 1=1--")
    expect((await fetch(nowhere, { method: 'POST', body: form, headers: headers() })).status).toBe(404)
  })

  test('too large, with and without saying so beforehand', async () => {
    const before = await filesOnDisk()
    const big = randomBytes(uploadBytes * 5)
    const { status, body } = await post(formOf(['file', big, 'big.bin']))
    expect([status, body.code]).toEqual([413, 'too_large'])
    expect((await post(formOf(['file', big.subarray(0, uploadBytes + 1), 'big.bin']))).status).toBe(413)
    const head = '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
    const parts = [
      Buffer.from(head),
      ...Array.from({ length: 40 }, () => randomBytes(50_000)),
      Buffer.from('\r\n--x--\r\n'),
    ]
    const chunked = await fetch(path(), {
      method: 'POST',
      body: new Blob(parts.map((part) => new Uint8Array(part))).stream(),
      duplex: 'half',
      headers: { ...headers(), 'content-type': 'multipart/form-data; boundary=x' },
    } as RequestInit)
    expect(chunked.status).toBe(413)
    expect(await filesOnDisk()).toEqual(before)
    expect((await post(formOf(['file', Buffer.from('small'), 'a.txt']))).status).toBe(201)
  })

  test('a sender who hangs up in the middle leaves nothing', async () => {
    const before = await filesOnDisk()
    const socket = connect(Number(new URL(origin).port), '127.0.0.1')
    socket.on('error', () => {})
    socket.write(
      `POST ${new URL(path()).pathname} HTTP/1.1\r\nhost: x\r\nauthorization: ${scene.ana.userId}\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: 350000\r\n\r\n--x\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n\r\n`,
    )
    socket.write(randomBytes(300_000))
    await vi.waitFor(async () => expect((await filesOnDisk()).length).toBe(before.length + 1), {
      timeout: 3_000,
    })
    expect((await filesOnDisk()).find((file) => !before.includes(file))).toMatch(/\.unfinished$/)
    socket.destroy()
    await vi.waitFor(async () => expect(await filesOnDisk()).toEqual(before), { timeout: 3_000 })
    const { rowCount } = await query('select 1 from attachment where uploader_id = $1', [scene.ana.userId])
    expect(rowCount).toBe(0)
  })

  test('senders who hang up anywhere leave nothing', async () => {
    const before = await filesOnDisk()
    const frame = `--x\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n\r\n`
    const body = Buffer.concat([Buffer.from(frame), randomBytes(350_000), Buffer.from('\r\n--x--')])
    const hangUp = async (n: number) => {
      const socket = connect(Number(new URL(origin).port), '127.0.0.1')
      socket.on('error', () => {})
      socket.write(
        `POST ${new URL(path()).pathname} HTTP/1.1\r\nhost: x\r\nauthorization: ${scene.ana.userId}\r\nx-slow: ${n % 3}\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: ${body.length + 4}\r\n\r\n`,
      )
      socket.write(body.subarray(0, Math.floor((body.length * n) / 59)))
      await sleep(n % 7)
      socket.destroy()
    }
    await Promise.all(Array.from({ length: 60 }, (_, n) => hangUp(n)))
    await vi.waitFor(async () => expect(await filesOnDisk()).toEqual(before), {
      timeout: 5_000,
      interval: 100,
    })
    await sleep(300)
    expect(await filesOnDisk()).toEqual(before)
    const { rowCount } = await query('select 1 from attachment where uploader_id = $1', [scene.ana.userId])
    expect(rowCount).toBe(0)
  })

  test('ranges, for players that seek', async () => {
    const bytes = randomBytes(200_000)
    const { body } = await post(formOf(['file', bytes, 'a.bin']))
    const part = async (range: string, more: Record<string, string> = {}) => {
      const response = await fetch(origin + body.url, { headers: { range, ...more } })
      return [
        response.status,
        response.headers.get('content-range'),
        Buffer.from(await response.arrayBuffer()),
      ]
    }
    expect(await part('bytes=0-0')).toEqual([206, 'bytes 0-0/200000', bytes.subarray(0, 1)])
    expect(await part('bytes=70000-139999')).toEqual([
      206,
      'bytes 70000-139999/200000',
      bytes.subarray(70_000, 140_000),
    ])
    expect(await part('bytes=199990-')).toEqual([206, 'bytes 199990-199999/200000', bytes.subarray(199_990)])
    expect(await part('bytes=-5')).toEqual([206, 'bytes 199995-199999/200000', bytes.subarray(199_995)])
    expect(await part('bytes=200000-')).toEqual([
      416,
      'bytes */200000',
      Buffer.from('{"code":"range_not_satisfiable"}'),
    ])
    for (const whole of ['bytes=5-2', 'bytes=0-1,5-6', 'lines=0-1', 'bytes=-', 'bytes=x-'])
      expect((await part(whole))[0], whole).toBe(200)
    expect((await part('bytes=0-0', { 'if-range': '"x"' }))[0]).toBe(200)
  })

  test('a link of the wrong form says no more than one that is not ours', async () => {
    const { body } = await post(formOf(['file', Buffer.from('a'), 'a.txt']))
    const right = new URL(origin + body.url)
    const answers = new Set<string>()
    for (const [name, value] of [
      ['for', 'x'],
      ['for', scene.sam.userId],
      ['by', 'x'],
      ['by', ''],
      ['expires', '1'],
      ['expires', '-1'],
      ['expires', '99999999999999999999'],
      ['signature', ''],
      ['signature', 'A'.repeat(64)],
      ['thumbnail', 'maybe'],
      ['thumbnail', 'true'],
    ] as const) {
      const url = new URL(right)
      url.searchParams.set(name, value)
      const response = await fetch(url)
      answers.add(`${response.status} ${await response.text()}`)
    }
    for (const text of [
      `${right}&for=${scene.ana.userId}`,
      `${origin}/api/v1/files/x`,
      `${right}`.split('?')[0] ?? '',
    ]) {
      const response = await fetch(text)
      answers.add(`${response.status} ${await response.text()}`)
    }
    expect([...answers]).toEqual(['404 {"code":"not_found"}'])
    expect((await fetch(right, { method: 'HEAD' })).status).toBe(200)
  })

  test('what lies on the disk is whole and under its own id', async () => {
    const { body } = await post(formOf(['file', Buffer.from('whole'), '../../../../tmp/escape.txt']))
    expect(body.name).toBe('escape.txt')
    const place = (await filesOnDisk()).find((file) => file.endsWith(body.id)) ?? ''
    expect(await readFile(place, 'utf8')).toBe('whole')
    expect((await filesOnDisk()).filter((file) => file.endsWith('.unfinished'))).toEqual([])
  })
})
