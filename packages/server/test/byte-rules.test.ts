import { limits, type OperationName, operationOf } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startServer, type TestServer } from '../src/testing.ts'
import {
  ask,
  commands,
  commandTextSpots,
  exampleFor,
  exampleOf,
  nested,
  spokenNames,
  textSpots,
  withValue,
} from './mutate.ts'
import { digest, expectErrorShape, expectHealthy, expectRefusal, makeWorld, type World } from './world.ts'

let server: TestServer
let world: World

beforeAll(async () => {
  server = await startServer()
  world = await makeWorld(server)
})
afterAll(() => server[Symbol.asyncDispose]())

const faults = { 'U+0000': 'a\0b', 'a high surrogate alone': 'a\ud83db', 'a low surrogate alone': '\udc4d' }

/** Public operations are asked without a token, the others by the owner, who may call all of them. */
const tokenFor = (name: OperationName) => (operationOf(name).access === 'public' ? null : world.owner.token)

/** Runs all of it and holds that the store is as before and the healthy go on talking. */
async function storingNothing(work: () => Promise<number>): Promise<void> {
  const before = await digest(server)
  expect(await work()).toBeGreaterThan(0)
  expect(await digest(server)).toBe(before)
  await expectHealthy(world)
}

describe('text that neither store could give back', () => {
  test.each(Object.entries(faults))(
    '[B1] [B2] %s is refused in every text of every operation over REST, and nothing is stored',
    (what, text) =>
      storingNothing(async () => {
        let asked = 0
        for (const name of spokenNames) {
          for (const { path, where } of textSpots(name, world.known)) {
            const input = withValue(exampleOf(name, world.known), path, text)
            const answer = await ask(server.rest, name, input, tokenFor(name))
            expectRefusal(answer, 400, 'bad_text', `${name} ${where} ${path.join('.')} ${what}`)
            asked++
          }
        }
        return asked
      }),
  )

  test.each(Object.entries(faults))(
    '[B1] [B2] %s is refused in the names of fields too, over REST and as a command',
    (_what, text) =>
      storingNothing(async () => {
        const input = { conversationId: world.conversationId, clientMessageId: 'key', body: 'x' }
        for (const odd of [
          { [text]: 1 },
          { metadata: { [text]: 1 } },
          { metadata: { a: [{ [text]: 1 }] } },
        ]) {
          expectRefusal(
            await ask(server.rest, 'message.send', { ...input, ...odd }, world.ana.token),
            400,
            'bad_text',
          )
        }
        const socket = await world.ana.connect()
        const reply = await socket.command('message.send', { ...input, metadata: { [text]: 1 } })
        expect(reply).toMatchObject({ ok: false, error: { code: 'bad_text' } })
        socket.close()
        return 1
      }),
  )

  test.each(Object.entries(faults))('[B1] [B2] %s is refused in every text of every command', (what, text) =>
    storingNothing(async () => {
      const socket = await world.owner.connect()
      let asked = 0
      for (const { name, fields } of commands) {
        for (const path of commandTextSpots(fields)) {
          const reply = await socket.command(name, withValue(exampleFor(fields, world.known), path, text))
          const label = `${name} ${path.join('.')} ${what}`
          expect({ label, ...reply }).toMatchObject({ label, ok: false, error: { code: 'bad_text' } })
          expectErrorShape(reply.error, label)
          asked++
        }
      }
      socket.close()
      return asked
    }),
  )

  test('[B2] bytes that are not UTF-8 are refused, in bodies and in addresses', () =>
    storingNothing(async () => {
      const bad = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]]
      const path = `/api/v1/conversations/${world.conversationId}/messages`
      for (const bytes of bad) {
        const raw = Buffer.concat([
          Buffer.from('{"clientMessageId":"key","body":"'),
          Buffer.from(bytes),
          Buffer.from('"}'),
        ])
        const answer = await server.rest('POST', path, { token: world.ana.token, raw })
        expectRefusal(answer, 400, 'malformed_json', Buffer.from(bytes).toString('hex'))
        const percent = bytes.map((byte) => `%${byte.toString(16)}`).join('')
        for (const url of [`/api/v1/users/${percent}`, `/api/v1/contacts?q=${percent}`]) {
          expectRefusal(await server.rest('GET', url, { token: world.owner.token }), 400, 'bad_text', url)
        }
      }
      return bad.length
    }))
})

describe('depth and size', () => {
  test('[B3] JSON one level too deep is refused in every body, and very deep JSON is only deep', () =>
    storingNothing(async () => {
      let asked = 0
      for (const name of spokenNames) {
        const { body, method } = operationOf(name)
        if (method === 'GET') continue
        for (const field of [...Object.keys(body ?? {}), 'unknown']) {
          const input = withValue(exampleOf(name, world.known), [field], nested(limits.jsonDepth))
          expectRefusal(
            await ask(server.rest, name, input, tokenFor(name)),
            400,
            'too_deep',
            `${name} ${field}`,
          )
          asked++
        }
      }
      const abyss = `{"name":${'['.repeat(400_000)}${']'.repeat(400_000)}}`
      for (const path of ['/api/v1/auth/login', '/api/v1/widget/somekeyornot/session']) {
        expectRefusal(await server.rest('POST', path, { raw: abyss }), 400, 'too_deep', path)
      }
      return asked
    }))

  test('[B3] the same for commands; the deepest that is allowed comes back', async () => {
    const socket = await world.owner.connect()
    for (const { name, fields } of commands) {
      for (const field of [...Object.keys(fields), 'unknown']) {
        const input = withValue(exampleFor(fields, world.known), [field], nested(limits.jsonDepth))
        expect({ name, field, ...(await socket.command(name, input)) }).toMatchObject({
          ...{ name, field, ok: false },
          error: { code: 'too_deep' },
        })
      }
    }
    socket.close()
    const metadata = { deep: nested(limits.jsonDepth - 2) }
    const sent = await world.ana.call('message.send', {
      ...{
        conversationId: world.conversationId,
        clientMessageId: crypto.randomUUID(),
        body: 'deep',
        metadata,
      },
    })
    expect(await world.sam.call('message.get', { messageId: sent.id })).toMatchObject({ metadata })
    await expectHealthy(world)
  })

  test('[B3] very deep JSON posted to the streams is refused like anywhere else', async () => {
    const abyss = '['.repeat(30_000) + ']'.repeat(30_000)
    const hello = `{"type":"hello","token":${abyss}}`
    for (const path of ['/api/v1/realtime/sse', '/api/v1/realtime/poll']) {
      expectRefusal(await server.rest('POST', path, { raw: hello }), 400, 'too_deep', path)
    }
    const { token } = world.ana
    const opened = await server.rest('POST', '/api/v1/realtime/poll', { body: { type: 'hello', token } })
    const { connectionId } = opened.body
    const command = `{"type":"unread.get","id":1,"more":${abyss}}`
    const attempts = {
      [`/api/v1/realtime/poll/${connectionId}`]: `{"frames":[${command}]}`,
      [`/api/v1/realtime/connections/${connectionId}`]: command,
    }
    for (const [path, raw] of Object.entries(attempts)) {
      expectRefusal(await server.rest('POST', path, { raw, token }), 400, 'too_deep', path)
    }
    await expectHealthy(world)
  })

  test('[B5] a message of exactly the limit is taken, one byte more is not, whatever the bytes are', async () => {
    const { conversationId } = world
    for (const unit of ['x', 'é', '漢', '👍']) {
      const size = Buffer.byteLength(unit)
      const body = unit.repeat(limits.messageBytes / size) + 'x'.repeat(limits.messageBytes % size)
      expect(Buffer.byteLength(body)).toBe(limits.messageBytes)
      const sent = await world.ana.send(conversationId, body)
      expect(sent.body).toBe(body)
      const over = { conversationId, clientMessageId: crypto.randomUUID(), body: `${body}x` }
      const refused = await world.ana.try('message.send', over)
      expectRefusal(refused, 400, 'invalid_request')
      expect(refused.body.error.field).toBe('body')
      const socket = await world.ana.connect()
      expect(await socket.command('message.send', over)).toMatchObject({
        ok: false,
        error: { code: 'invalid_request', field: 'body' },
      })
      socket.close()
    }
    const edited = await world.ana.call('message.send', {
      ...{ conversationId, clientMessageId: crypto.randomUUID(), body: 'short' },
    })
    expectRefusal(
      await world.ana.try('message.edit', {
        messageId: edited.id,
        body: 'x'.repeat(limits.messageBytes + 1),
      }),
      400,
      'invalid_request',
    )
  })

  test('[B8] a number that would come back as another is refused by every door, with its field', () =>
    storingNothing(async () => {
      const { conversationId, ana } = world
      const lost = [
        '1e400',
        '-1e400',
        '12345678901234567890',
        '-9007199254740993',
        '9007199254740992',
        '1e20',
      ]
      const socket = await ana.connect()
      for (const number of lost) {
        const metadata = `"metadata":{"order":{"ids":[1,${number}]}}`
        const fields = `"clientMessageId":"lost","body":"x",${metadata}`
        const raw = { token: ana.token, raw: `{${fields}}` }
        const answer = await server.rest('POST', `/api/v1/conversations/${conversationId}/messages`, raw)
        expectRefusal(answer, 400, 'invalid_request', number)
        expect(answer.body.error).toMatchObject({ field: 'metadata.order.ids.1' })
        expect(answer.body.error.message).toContain('send it as text')

        const id = 100 + lost.indexOf(number)
        socket.write(`{"type":"message.send","id":${id},"conversationId":"${conversationId}",${fields}}`)
        expect(await socket.until((frame) => frame.type === 'reply' && frame.id === id)).toMatchObject({
          ok: false,
          error: { code: 'invalid_request', field: 'metadata.order.ids.1' },
        })
        const hello = { raw: `{"type":"hello","token":"${ana.token}","lost":${number}}` }
        const polled = await server.rest('POST', '/api/v1/realtime/poll', hello)
        expectRefusal(polled, 400, 'invalid_request', number)
      }
      socket.close()
      return lost.length
    }))

  test('[B8] every other number comes back as it was sent', async () => {
    const metadata = { numbers: [9007199254740991, -9007199254740991, 0.1, 1.5e-7, 0, -1] }
    const sent = await world.ana.call('message.send', {
      conversationId: world.conversationId,
      clientMessageId: 'kept numbers',
      body: 'x',
      metadata,
    })
    expect(await world.sam.call('message.get', { messageId: sent.id })).toMatchObject({ metadata })
  })

  test('[B5] metadata beyond its limit is refused wherever it is taken, also when merging makes it so', async () => {
    const { conversationId } = world
    const big = { text: 'x'.repeat(limits.metadataBytes) }
    const half = (key: string) => ({ [key]: 'x'.repeat(limits.metadataBytes / 2) })
    const attempts: [OperationName, Record<string, unknown>][] = [
      ['message.send', { conversationId, clientMessageId: 'big', body: 'x', metadata: big }],
      ['message.note', { conversationId, clientMessageId: 'big', body: 'x', metadata: big }],
      ['conversation.create', { kind: 'support', metadata: big }],
      ['conversation.update', { conversationId, metadata: big }],
      ['contact.create', { name: 'x', metadata: big }],
      ['contact.update', { userId: world.ana.userId, metadata: big }],
    ]
    for (const [name, input] of attempts) {
      expectRefusal(await ask(server.rest, name, input, world.sam.token), 400, 'invalid_request', name)
    }
    await world.sam.call('conversation.update', { conversationId, metadata: half('a') })
    expectRefusal(
      await world.sam.try('conversation.update', { conversationId, metadata: half('b') }),
      400,
      'invalid_request',
    )
    await world.sam.call('conversation.update', { conversationId, metadata: { a: null } })
  })
})

describe('text that is only astonishing', () => {
  const astonishing = {
    'combining marks, not composed': 'Z͑ͫa̴l̶g̷o e\u0301 \u00e9 n\u0303',
    'right to left with marks': '\u202eabc\u202c שלום \u200fمرحبا\u200e',
    'emoji joined, toned and flagged': '👩‍👩‍👧‍👦 👍🏿 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🇩🇪',
    noncharacters: '\uffff\ufffe \ufdd0 \u{1ffff} \u{10ffff}',
    'a byte order mark': '\ufeffin front and behind\ufeff',
    'control characters': '\u0001\u0002\u0007\b\t\n\v\f\r\u001b[31m\u007f\u0085\u009f',
    'odd spaces and line ends': ' \u00a0\u2003\u3000\u2028\u2029\r\n\r ',
    'what looks like an escape': `\\u0000 \\ud800 \\\\ \\" %00 %ED%A0%80 &lt;b&gt; \${x} {{x}} \\x00`,
    'SQL, LIKE and markup': `'; drop table person; -- %_\\ $1 :name <script>alert(1)</script>`,
    'characters outside the first plane': '𝒳𠀀𐍈\u{f0000}',
    'replacement character': '\ufffd\ufffd',
  }

  test.each(Object.entries(astonishing))(
    '[B4] %s: a message comes back byte for byte, whichever way it is read',
    async (_what, text) => {
      const { conversationId, ana, sam } = world
      const hears = await sam.connect({ follow: [{ conversationId, after: 0 }] })
      const metadata = { [text]: text, list: [text] }
      const expected = { body: text, metadata }
      const overRest = await ana.call('message.send', {
        ...{ conversationId, clientMessageId: `rest ${crypto.randomUUID()}`, body: text, metadata },
      })
      expect(overRest).toMatchObject(expected)
      const speaks = await ana.connect()
      const overSocket = await speaks.command('message.send', {
        ...{ conversationId, clientMessageId: crypto.randomUUID(), body: text, metadata },
      })
      expect(overSocket).toMatchObject({ ok: true, result: expected })
      const { seq } = overSocket.result as { seq: number }
      for (const at of [overRest.seq, seq]) {
        expect(
          await hears.until((frame) => frame.type === 'message.created' && frame.seq === at),
        ).toMatchObject({
          message: expected,
        })
      }
      const { messages } = await sam.call('message.list', { conversationId, limit: 2 })
      expect(messages).toMatchObject([expected, expected])
      const { events } = await sam.call('log.list', { conversationId, after: overRest.seq - 1 })
      expect(events).toMatchObject([{ message: expected }, { message: expected }])
      expect(await sam.call('message.get', { messageId: overRest.id })).toMatchObject(expected)
      const row = await sam.call('conversation.get', { conversationId })
      expect(row.lastMessage).toMatchObject(expected)
      const edited = await ana.call('message.edit', { messageId: overRest.id, body: `${text}!` })
      expect(edited.body).toBe(`${text}!`)
      expect(await sam.call('message.revisions', { messageId: overRest.id })).toMatchObject({
        revisions: [{ body: text }],
      })
      for (const socket of [hears, speaks]) socket.close()
    },
  )

  test.each(Object.entries(astonishing))(
    '[B4] %s: names, subjects, keys and searches come back as they are',
    async (_what, text) => {
      const { conversationId, ana, sam, owner } = world
      const subject = text.slice(0, limits.subjectLength)
      const updated = await sam.call('conversation.update', {
        conversationId,
        subject,
        metadata: { [text]: text },
      })
      expect(updated.conversation).toMatchObject({ subject, metadata: { [text]: text } })
      const name = `n ${text}`
      expect((await owner.call('me.update', { name })).name).toBe(name)
      const externalId = `x ${text} ${crypto.randomUUID()}`
      const contact = await sam.call('contact.create', { name, externalId, metadata: { text } })
      expect(contact).toMatchObject({ name, externalId, metadata: { text } })
      const { contacts } = await sam.call('contact.list', { q: name.slice(0, 100) })
      expect(contacts.map(({ id }) => id)).toContain(contact.id)
      const clientMessageId = `${crypto.randomUUID()} ${text}`
        .slice(0, limits.clientMessageIdLength)
        .toWellFormed()
      const message = await ana.call('message.send', { conversationId, clientMessageId, body: 'x' })
      expect(message.clientMessageId).toBe(clientMessageId)
    },
  )

  test('[B4] names that JavaScript gives a meaning to are names like others', async () => {
    const raw = `{"clientMessageId":"${crypto.randomUUID()}","body":"x","metadata":{"__proto__":{"isAdmin":true},"constructor":{"prototype":1},"toString":null}}`
    const sent = await server.rest('POST', `/api/v1/conversations/${world.conversationId}/messages`, {
      token: world.ana.token,
      raw,
    })
    expect(sent.status).toBe(201)
    const own = JSON.parse('{"__proto__":{"isAdmin":true},"constructor":{"prototype":1},"toString":null}')
    expect(Object.entries(sent.body.metadata).sort()).toEqual(Object.entries(own).sort())
    const read = await world.sam.call('message.get', { messageId: sent.body.id })
    expect(Object.entries(read.metadata).sort()).toEqual(Object.entries(own).sort())
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined()
  })
})
