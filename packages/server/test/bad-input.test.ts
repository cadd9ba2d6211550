import { gzipSync } from 'node:zlib'
import { type ErrorCode, errors, limits, type OperationName, operationOf } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Child, startChild } from './child.ts'
import { ask, commandMutants, commands, formMutants, spokenNames } from './mutate.ts'
import { RawSocket } from './raw-socket.ts'
import { expectErrorShape, expectHealthy, expectRefusal, insides, makeWorld, type World } from './world.ts'

let server: Child
let world: World
let messagesPath: string

beforeAll(async () => {
  server = await startChild({ env: { LOG_LEVEL: 'debug' } })
  world = await makeWorld(server)
  messagesPath = `/api/v1/conversations/${world.conversationId}/messages`
})
afterAll(() => server[Symbol.asyncDispose]())

/** What an owner can see of everything; refused requests leave it as it was. */
async function visible(): Promise<string> {
  const { owner, known } = world
  const names = [
    'user.list',
    'inbox.list',
    'contact.list',
    'apiKey.list',
    'identityKey.list',
    'invitation.list',
    'workspace.get',
    'conversation.list',
  ] as const
  const answers = await Promise.all(names.map((name) => ask(server.rest, name, {}, owner.token)))
  const audit = await owner.call('audit.list', { limit: 1 })
  const log = await owner.call('log.list', {
    conversationId: String(known.conversationId),
    after: 0,
    limit: 500,
  })
  return JSON.stringify([answers.map(({ body }) => ({ ...body, cursor: null })), audit, log], dropLinks)
}
const dropLinks = (key: string, value: unknown) => (/^(url|thumbnailUrl)$/.test(key) ? null : value)

/** The oracle of promises §4 for a group: nothing changed, the same process, and nobody else noticed. */
function leavesNoTrace(): void {
  let before: string
  beforeAll(async () => {
    before = await visible()
  })
  afterAll(async () => {
    expect(await visible()).toBe(before)
    await expectHealthy(world)
    expect(server.process.exitCode).toBeNull()
  })
}

const tokenFor = (name: OperationName) => (operationOf(name).access === 'public' ? null : world.owner.token)
const post = (raw: string | Buffer, headers: Record<string, string> = {}) =>
  server.rest('POST', messagesPath, { token: world.ana.token, raw, headers })
const goodBody = (more = '') => `{"clientMessageId":"${crypto.randomUUID()}","body":"x"${more}}`

describe('bodies', () => {
  leavesNoTrace()

  test.each([
    ...[
      '{',
      '{"a":}',
      "{'a':1}",
      '{"a":1,}',
      '[1',
      'nul',
      'NaN',
      '{"a":NaN}',
      '{}{}',
      '{"a":1}x',
      '\ufeff{}',
    ],
    ...[
      '{"body":"\u0000"}',
      '{"a":"\n"}',
      '{"a":01}',
      '{"a":+1}',
      '"',
      '{"a":"\\x00"}',
      '{"a":"\\ud8"}',
      ' ',
    ],
    '{/*x*/}',
  ])('[E1] [E7] JSON that is none is `malformed_json`: %j', async (raw) => {
    expectRefusal(await post(raw), 400, 'malformed_json')
    expectRefusal(await server.rest('POST', '/api/v1/auth/login', { raw }), 400, 'malformed_json')
  })

  test.each(['[]', '[{}]', '"x"', '5', 'true', 'null', '[[[]]]'])(
    '[B6] JSON that is not an object is `invalid_request`: %s',
    async (raw) => {
      expectRefusal(await post(raw), 400, 'invalid_request')
      expectRefusal(await server.rest('POST', '/api/v1/auth/login', { raw }), 400, 'invalid_request')
    },
  )

  test('[B6] every field of every operation, of another type, missing, too many, too long: `invalid_request` with its name', async () => {
    let asked = 0
    for (const name of spokenNames) {
      for (const { field, what, input, where } of formMutants(name, world.known)) {
        const label = `${name} ${where} ${field} ${what}`
        const answer = await ask(server.rest, name, input, tokenFor(name))
        expectRefusal(answer, 400, 'invalid_request', label)
        expect({ label, field: answer.body.error.field }).toEqual({ label, field: expect.any(String) })
        if (where !== 'body') expect({ label, field: answer.body.error.field }).toEqual({ label, field })
        asked++
      }
    }
    expect(asked).toBeGreaterThan(1_000)
  })

  test('[B6] the same for every field of every command', async () => {
    const socket = await world.owner.connect()
    let asked = 0
    for (const { name, fields } of commands) {
      for (const { what, input } of commandMutants(fields, world.known)) {
        const { ok, error } = await socket.command(name, input)
        const label = `${name} ${what}`
        expect({ label, ok, error }).toMatchObject({ label, ok: false, error: { code: 'invalid_request' } })
        expectErrorShape(error, label)
        asked++
      }
    }
    expect(asked).toBeGreaterThan(500)
    socket.close()
  })

  test('[B6] nobody makes themselves more than they are: fields of the server are unknown fields', async () => {
    const { ana } = world
    const attempts: [string, string, Record<string, unknown>][] = [
      ['PATCH', '/api/v1/me', { name: 'ana', role: 'owner' }],
      ['PATCH', '/api/v1/me', { name: 'ana', workspaceId: crypto.randomUUID() }],
      ['PATCH', '/api/v1/me', { name: 'ana', verified: true }],
      ['POST', messagesPath, { clientMessageId: 'm', body: 'x', senderId: world.sam.userId }],
      ['POST', messagesPath, { clientMessageId: 'm', body: 'x', senderRole: 'agent' }],
      ['POST', messagesPath, { clientMessageId: 'm', body: 'x', seq: 1 }],
      ['POST', messagesPath, { clientMessageId: 'm', body: 'x', visibility: 'agents' }],
      ['POST', messagesPath, { clientMessageId: 'm', body: 'x', conversationId: crypto.randomUUID() }],
      ['POST', messagesPath, { clientMessageId: 'm', body: 'x', kind: 'system' }],
      ['POST', '/api/v1/conversations', { kind: 'support', status: 'assigned' }],
      ['POST', '/api/v1/conversations', { kind: 'support', assigneeId: ana.userId }],
      ['PUT', `/api/v1/conversations/${world.conversationId}/receipt`, { read: 1, userId: world.sam.userId }],
      [
        'POST',
        '/api/v1/auth/register',
        { name: 'x', email: 'm@example.com', password: 'correct horse', verified: true },
      ],
    ]
    for (const [method, path, body] of attempts) {
      const answer = await server.rest(method, path, { token: ana.token, body })
      expectRefusal(answer, 400, 'invalid_request', `${method} ${path} ${JSON.stringify(body)}`)
    }
    expect((await ana.call('me.get', {})).user.role).toBe('contact')
  })

  test('[B6] names with a meaning in JavaScript are unknown fields, in bodies and in queries', async () => {
    const { token } = world.owner
    for (const key of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) {
      for (const value of ['{"role":"owner"}', '[]', 'null', '"x"']) {
        expectRefusal(await post(goodBody(`,"${key}":${value}`)), 400, 'invalid_request', `${key} ${value}`)
        expectRefusal(await post(`{"${key}":${value}}`), 400, 'invalid_request', `${key} ${value} alone`)
      }
      for (const query of [`${key}=1`, `${key}=1&${key}=2`, `limit=1&${key}=x`, `${key}[role]=owner`]) {
        const answer = await server.rest('GET', `/api/v1/contacts?${query}`, { token })
        expectRefusal(answer, 400, 'invalid_request', query)
      }
    }
  })

  test('a field given twice counts once, as its last', async () => {
    const twice = await server.rest('PATCH', '/api/v1/me', {
      ...{ token: world.ana.token, raw: '{"name":"first","name":"ana"}' },
    })
    expect([twice.status, twice.body.name]).toEqual([200, 'ana'])
    const hidden = await server.rest('PATCH', '/api/v1/me', {
      ...{ token: world.ana.token, raw: '{"name":"ana","name":{"role":"owner"}}' },
    })
    expectRefusal(hidden, 400, 'invalid_request')
  })

  test('[B5] a body over the limit is `too_large`, declared or not, and so is a frame that is posted', async () => {
    const huge = Buffer.from(`{"clientMessageId":"huge","body":"${'x'.repeat(limits.jsonBodyBytes)}"}`)
    expectRefusal(await post(huge), 413, 'too_large')
    const chunked = await fetch(server.url + messagesPath, {
      method: 'POST',
      headers: { authorization: `Bearer ${world.ana.token}`, 'content-type': 'application/json' },
      body: new Blob([huge]).stream(),
      duplex: 'half',
    } as RequestInit)
    expect([chunked.status, ((await chunked.json()) as { error: { code: string } }).error.code]).toEqual([
      413,
      'too_large',
    ])
    const frame = JSON.stringify({
      type: 'hello',
      token: world.ana.token,
      cursor: 'x'.repeat(limits.frameBytes),
    })
    for (const path of ['/api/v1/realtime/sse', '/api/v1/realtime/poll']) {
      expectRefusal(await server.rest('POST', path, { raw: frame }), 413, 'too_large', path)
    }
  })

  test('a body that is packed or not UTF-8 is refused, not read as if it were plain', async () => {
    for (const coding of ['gzip', 'br', 'GZIP', 'identity, gzip']) {
      for (const raw of [goodBody(), gzipSync(goodBody())]) {
        expectRefusal(await post(raw, { 'content-encoding': coding }), 415, 'unsupported_media_type', coding)
      }
    }
    for (const charset of ['utf-16', '"UTF-16LE"', 'iso-8859-1', 'x']) {
      const answer = await post(goodBody(), { 'content-type': `application/json; charset=${charset}` })
      expectRefusal(answer, 415, 'unsupported_media_type', charset)
      expect(answer.body.error.message).toContain('UTF-8')
    }
    const upload = await server.rest('POST', `/api/v1/conversations/${world.conversationId}/attachments`, {
      token: world.ana.token,
      raw: gzipSync('--x\r\n'),
      headers: { 'content-type': 'multipart/form-data; boundary=x', 'content-encoding': 'gzip' },
    })
    expectRefusal(upload, 415, 'unsupported_media_type')
    for (const type of ['application/json; charset=utf-8', 'application/json;charset="UTF-8"']) {
      const answer = await post('{"name":"ana"', { 'content-type': type, 'content-encoding': 'identity' })
      expectRefusal(answer, 400, 'malformed_json', type)
    }
  })

  test('only JSON is taken where JSON is expected', async () => {
    const types = [
      ...['text/plain', 'text/html', 'application/x-www-form-urlencoded', 'application/xml', 'image/png'],
      ...[
        'multipart/form-data; boundary=x',
        'application/jsonx',
        'application/vnd.api+json',
        'text/json',
        '*/*',
        'x',
        ';',
      ],
    ]
    for (const type of types) {
      expectRefusal(await post(goodBody(), { 'content-type': type }), 415, 'unsupported_media_type', type)
    }
    const file = await server.rest('POST', `/api/v1/conversations/${world.conversationId}/attachments`, {
      ...{ token: world.ana.token, raw: '{}' },
    })
    expectRefusal(file, 415, 'unsupported_media_type')
  })
})

describe('addresses', () => {
  leavesNoTrace()

  test('[E8] what does not exist is `not_found`, another method of what exists is `method_not_allowed`', async () => {
    const { token } = world.owner
    for (const path of [
      '/api/v1/nothing',
      '/api/v2/me',
      '/api',
      '/api/v1/me/',
      '/api/v1/ME',
      '/api/v1//me',
      '/api/v1/me/../me/x',
      '/etc/passwd',
      '/.env',
      '/widget/../../package.json',
      '/widget/%2e%2e/%2e%2e/package.json',
    ]) {
      expectRefusal(await server.rest('GET', path, { token }), 404, 'not_found', path)
    }
    for (const path of ['/desk/..%2f..%2fpackage.json', '/desk/%2e%2e/%2e%2e/package.json']) {
      expect(JSON.stringify((await server.rest('GET', path)).body), path).not.toContain('dependencies')
    }
    const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
    for (const name of spokenNames) {
      const { path } = operationOf(name)
      const known = new Set(
        spokenNames.flatMap((other) =>
          operationOf(other).path.replaceAll(/\{\w+\}/g, '{}') === path.replaceAll(/\{\w+\}/g, '{}')
            ? [operationOf(other).method]
            : [],
        ),
      )
      for (const method of methods) {
        if (known.has(method as 'GET')) continue
        if (path.endsWith('/attachments') || path.startsWith('/files/')) continue
        const url = `/api/v1${path.replaceAll(/\{\w+\}/g, crypto.randomUUID())}`
        const answer = await server.rest(method, url, { token })
        if (answer.status === 404) continue
        expectRefusal(answer, 405, 'method_not_allowed', `${method} ${url}`)
        expect(answer.headers.get('allow')?.split(', ').sort()).toEqual(expect.arrayContaining([...known]))
      }
    }
    expectRefusal(await server.rest('DELETE', '/api/v1/me', { token }), 405, 'method_not_allowed')
    expectRefusal(await server.rest('GET', '/api/v1/auth/login', {}), 405, 'method_not_allowed')
  })

  test('[B2] escapes that are no UTF-8 are refused wherever they stand, also where nothing is', async () => {
    for (const bad of ['%', '%zz', '%ff', '%c0%80', '%ed%a0%80', '%e2%82', '%2', 'a%']) {
      for (const path of [
        `/api/v1/users/${bad}`,
        `/api/v1/contacts?q=${bad}`,
        `/api/v1/nothing/${bad}`,
        `/${bad}`,
      ]) {
        using raw = new RawSocket(server.url)
        raw.write(
          `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${world.owner.token}\r\nConnection: close\r\n\r\n`,
        )
        const { status, error } = answerIn(await raw.closed())
        expect({ path, status, code: error?.code }).toEqual({ path, status: 400, code: 'bad_text' })
        expectErrorShape(error, path)
      }
    }
  })

  test('[R9] a page that we did not give is `invalid_cursor`, however much it looks like one of ours', async () => {
    const id = crypto.randomUUID()
    const forged = [
      ...['x', '%00', 'AAAA', '[]', 'bnVsbA', '__proto__', '../..', "' or 1=1 --"],
      ...[
        [],
        [1],
        [null],
        [id, id],
        [''],
        ['5'],
        ['x'],
        [{}],
        [[id]],
        [id, id, id],
        [`${id}'`],
        ['-'.repeat(36)],
      ],
      ...[
        ['5', id],
        ['2026-99-99 99:99:99+00', id],
        ['2026-02-30 00:00:00+00', id],
        ['0000-01-01 00:00:00+00', id],
      ],
      ...[
        ['2026-01-01 00:00:00+00', 'x'],
        ['infinity', id],
        ['2026-01-01 00:00:00+00', '-'.repeat(36)],
        ['9'.repeat(20), id],
      ],
    ].map((one) => (typeof one === 'string' ? one : Buffer.from(JSON.stringify(one)).toString('base64url')))
    for (const page of forged) {
      for (const name of ['conversation.list', 'contact.list', 'audit.list'] as const) {
        const answer = await ask(server.rest, name, { page }, world.owner.token)
        expectRefusal(answer, 400, 'invalid_cursor', `${name} ${Buffer.from(page, 'base64url')}`)
      }
    }
    const foreign = Buffer.from(JSON.stringify([world.owner.userId])).toString('base64url')
    expect((await ask(server.rest, 'audit.list', { page: foreign }, world.owner.token)).status).toBe(200)
  })

  test('[R9] [R12] a forged list cursor in hello is answered with reset', async () => {
    const { cursor } = await world.sam.call('conversation.list', {})
    const [epoch] = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    const forged = [
      ['x'],
      [epoch],
      [epoch, 'x'],
      [epoch, '-1'],
      [epoch, '9'.repeat(19)],
      [epoch, '9'.repeat(20)],
      [epoch, '9'.repeat(30)],
      [epoch, 5],
      [epoch, ''],
      [crypto.randomUUID(), '5'],
    ]
    for (const parts of forged) {
      const socket = await world.sam.connect({
        cursor: Buffer.from(JSON.stringify(parts)).toString('base64url'),
      })
      expect(
        await socket.until((frame) => frame.type === 'reset', 2_000),
        JSON.stringify(parts),
      ).toMatchObject({
        conversationId: null,
      })
      socket.close()
    }
  })

  test('the largest position is one like any other, and nothing comes after it', async () => {
    const { token } = world.ana
    const path = `/api/v1/conversations/${world.conversationId}`
    for (const where of ['messages?after=', 'log?after=']) {
      const { status, body } = await server.rest('GET', `${path}/${where}2147483647`, { token })
      expect({ status, found: body.messages ?? body.events }, where).toEqual({ status: 200, found: [] })
    }
    const { status } = await server.rest('GET', `${path}/messages?before=2147483647&limit=1`, { token })
    expect(status).toBe(200)
    const refused = await server.rest('GET', `${path}/log?after=2147483648`, { token })
    expectRefusal(refused, 400, 'invalid_request')
  })

  test('instants that are in no calendar are refused', async () => {
    for (const at of [
      '2026-02-30T00:00:00Z',
      '2026-13-01T00:00:00Z',
      '0000-01-01T00:00:00Z',
      '2026-01-01T25:00:00Z',
      '2026-01-01T00:00:60Z',
      '9999-99-99T99:99:99Z',
    ]) {
      const { owner, ana, sam } = world
      const analytics = await ask(server.rest, 'analytics.get', { from: at }, owner.token)
      expectRefusal(analytics, 400, 'invalid_request', at)
      const grant = await ask(
        server.rest,
        'grant.create',
        { userIds: [ana.userId, sam.userId], startsAt: at },
        owner.token,
      )
      expectRefusal(grant, 400, 'invalid_request', at)
    }
  })
})

/** The status and the body of a raw answer. */
function answerIn(text: string): { status: number; error?: { code: string }; text: string } {
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1])
  const json = /\r\n\r\n(?:[0-9a-f]+\r\n)?(\{.*\})/s.exec(text)?.[1]
  return { status, error: json && JSON.parse(json).error, text }
}

describe('HTTP itself', () => {
  leavesNoTrace()

  const token = () => `Authorization: Bearer ${world.ana.token}\r\n`
  const body = '{"clientMessageId":"raw","body":"x"}'
  const attempts: Record<string, () => string> = {
    'no request line': () => '\r\n\r\nnonsense\r\n\r\n',
    'a version of the future': () => 'GET /api/v1/me HTTP/9.9\r\nHost: x\r\n\r\n',
    'a method that is none': () => 'GÖT /api/v1/me HTTP/1.1\r\nHost: x\r\n\r\n',
    'a header without a colon': () => 'GET /api/v1/me HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n',
    'a space before the colon': () => 'GET /api/v1/me HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n',
    'NUL in a header': () => 'GET /api/v1/me HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n',
    'a header of 100 KB': () => `GET /api/v1/me HTTP/1.1\r\nHost: x\r\nA: ${'b'.repeat(100_000)}\r\n\r\n`,
    'two lengths': () =>
      `POST ${messagesPath} HTTP/1.1\r\nHost: x\r\n${token()}Content-Type: application/json\r\nContent-Length: ${body.length}\r\nContent-Length: 5\r\n\r\n${body}`,
    'a negative length': () =>
      `POST ${messagesPath} HTTP/1.1\r\nHost: x\r\n${token()}Content-Length: -1\r\n\r\n${body}`,
    'a length and chunks': () =>
      `POST ${messagesPath} HTTP/1.1\r\nHost: x\r\n${token()}Content-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'chunks that are none': () =>
      `POST ${messagesPath} HTTP/1.1\r\nHost: x\r\n${token()}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n${body}\r\n0\r\n\r\n`,
    'an unknown transfer encoding': () =>
      `POST ${messagesPath} HTTP/1.1\r\nHost: x\r\n${token()}Content-Type: application/json\r\nTransfer-Encoding: gzip\r\n\r\n${body}`,
    'no host': () => 'GET /api/v1/limits HTTP/1.1\r\nConnection: close\r\n\r\n',
    'no host, where nothing is': () => 'GET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n',
    'an expectation that nobody knows': () =>
      'GET /api/v1/limits HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\nConnection: close\r\n\r\n',
    'TLS, knocking at the wrong door': () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  }

  test.each(Object.entries(attempts))(
    '[E1] %s: refused in the shape of every error, and the connection ends',
    async (_what, text) => {
      using raw = new RawSocket(server.url)
      raw.write(Buffer.from(text(), 'latin1'))
      const { status, error } = answerIn(await raw.closed())
      expect(status).toBeGreaterThanOrEqual(400)
      expect(status).toBeLessThan(500)
      expectErrorShape(error)
      expect(status).toBe(errors[error?.code as ErrorCode].status)
    },
  )

  test('a body that never comes, and a client that leaves in the middle, hurt nobody', async () => {
    for (const half of ['', '{"clientMess']) {
      using raw = new RawSocket(server.url)
      raw.write(
        `POST ${messagesPath} HTTP/1.1\r\nHost: x\r\n${token()}Content-Type: application/json\r\nContent-Length: 500\r\n\r\n${half}`,
      )
      await new Promise((resolve) => setTimeout(resolve, 50))
      raw.socket.resetAndDestroy()
    }
  })

  test('[A1] odd credentials are no credentials', async () => {
    const { token } = world.owner
    const odd = [
      token,
      `Basic ${token}`,
      'Bearer',
      'Bearer ',
      `Bearer  x ${token}`,
      `Bearer ${token}, Bearer ${token}`,
      `Bearer ${'x'.repeat(9_000)}`,
      'Bearer null',
      'Bearer é',
    ]
    for (const authorization of odd) {
      const answer = await server.rest('GET', '/api/v1/me', { headers: { authorization } })
      expectRefusal(answer, 401, 'unauthenticated', authorization.slice(0, 40))
    }
    for (const query of [`token=${token}`, `access_token=${token}`]) {
      expectRefusal(await server.rest('GET', `/api/v1/me?${query}`), 401, 'unauthenticated')
    }
  })

  test('the scheme of a token is named in any case', async () => {
    for (const scheme of ['bearer', 'BEARER', 'bEaReR']) {
      const headers = { authorization: `${scheme} ${world.owner.token}` }
      expect((await server.rest('GET', '/api/v1/me', { headers })).status, scheme).toBe(200)
    }
  })

  test('an OPTIONS that is no preflight is answered like one', async () => {
    for (const path of ['/api/v1/me', messagesPath]) {
      const { status, body, headers } = await server.rest('OPTIONS', path)
      expect({ status, body }).toEqual({ status: 204, body: '' })
      expect(headers.get('access-control-allow-origin')).toBe('*')
    }
  })

  test('headers that others may write are not believed', async () => {
    const headers = {
      'x-forwarded-for': '1.2.3.4',
      'x-http-method-override': 'DELETE',
      'x-original-url': '/api/v1/me',
      'x-user-id': world.owner.userId,
      'content-length': '0',
    }
    const answer = await server.rest('GET', '/api/v1/me', { token: world.ana.token, headers })
    expect(answer.body.user.id).toBe(world.ana.userId)
  })
})

test('[E5] what was logged is one JSON line each, without tokens, passwords, queries or paths of refused requests', async () => {
  expect(server.log.length).toBeGreaterThan(100)
  const { ana, sam, owner } = world
  for (const line of server.log) {
    expect(() => JSON.parse(line), line).not.toThrow()
    for (const person of [ana, sam, owner]) expect(line).not.toContain(person.token.split('.').at(-1))
    expect(line).not.toMatch(/correct horse|eyJhbGci|"password"/)
    const { level, status = 0 } = JSON.parse(line)
    expect({ line, fault: level >= 50 || status >= 500 }).toEqual({ line, fault: false })
    expect(line).not.toMatch(insides)
  }
})
