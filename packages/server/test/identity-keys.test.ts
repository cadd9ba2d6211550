import { createSecretKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type JWTPayload, SignJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { identify } from '../src/chat/identities.ts'
import { type Answer, type Person, startServer, type TestServer } from '../src/testing.ts'

let server: TestServer
let owner: Person
let admin: Person

beforeAll(async () => {
  server = await startServer()
  owner = await server.person('owner', 'Olga')
  admin = await server.person('admin', 'Ada')
})
afterAll(() => server[Symbol.asyncDispose]())

const hour = () => Math.floor(Date.now() / 1000) + 3600
const newSecret = () => randomBytes(24).toString('hex')
const sign = (
  claims: JWTPayload & Record<string, unknown>,
  key: KeyObject,
  header: { alg: string; [name: string]: unknown } = { alg: 'HS256' },
) => new SignJWT({ exp: hour(), ...claims }).setProtectedHeader(header).sign(key)
const hmac = (secret: string) => createSecretKey(secret, 'utf8')
const exchange = (token: string, more = {}) =>
  server.rest('POST', '/api/v1/auth/exchange', { body: { token, ...more } })
const codeOf = (answer: Answer) => answer.body.error?.code ?? answer.status
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ed = generateKeyPairSync('ed25519')
const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString()

test('a person is made on first sight, found again, and follows what the token says', async () => {
  const secret = newSecret()
  await admin.call('identityKey.create', {
    kind: 'hs256',
    secret,
    userIdClaim: 'userId',
    staffRoles: { STAFF: 'agent', BOSS: 'supervisor' },
  })
  const as = async (role: string | undefined, name = 'Uma') => {
    const answer = await exchange(
      await sign({ userId: 42, name, email: 'uma@example.com', role }, hmac(secret)),
    )
    expect(answer.status).toBe(200)
    return answer.body
  }
  const first = await as('customer')
  expect(first.user).toMatchObject({ externalId: '42', name: 'Uma', role: 'contact', verified: true })
  const raised = await as('BOSS')
  expect(raised.user).toMatchObject({ id: first.user.id, role: 'supervisor' })
  expect((await server.rest('GET', '/api/v1/users', { token: first.tokens.accessToken })).status).toBe(200)
  const lowered = await as('owner', 'Uma B.')
  expect(lowered.user).toMatchObject({ id: first.user.id, role: 'contact', name: 'Uma B.' })
  expect((await server.rest('GET', '/api/v1/users', { token: raised.tokens.accessToken })).status).toBe(403)
  expect((await as('constructor')).user.role).toBe('contact')
  const audit = await owner.call('audit.list', {})
  expect(audit.entries.filter(({ action }) => action === 'user.claimedRole')).toHaveLength(2)
})

test('[A5] a token is swapped for an inbox of its own workspace only, and makes a visitor of whoever it names', async () => {
  const secret = newSecret()
  await admin.call('identityKey.create', { kind: 'hs256', secret, staffRoles: { A: 'agent' } })
  const swap = async (inboxId: string) =>
    exchange(await sign({ sub: 'vic', role: 'A', aud: inboxId }, hmac(secret)), { inboxId })
  expect(codeOf(await swap((await server.workspace()).inboxId))).toBe('not_found')
  expect(codeOf(await swap(crypto.randomUUID()))).toBe('not_found')
  expect((await swap(server.inboxId)).body.user).toMatchObject({ externalId: 'vic', role: 'contact' })
})

test('nobody becomes an owner’s double, and whoever was switched off stays off', async () => {
  const secret = newSecret()
  await owner.call('identityKey.create', { kind: 'hs256', secret, staffRoles: { A: 'admin' } })
  const token = await sign({ sub: 'risen', role: 'A' }, hmac(secret))
  const { body } = await exchange(token)
  await owner.call('user.update', { userId: body.user.id, role: 'owner' })
  expect(codeOf(await exchange(token))).toBe('unauthenticated')
  await owner.call('user.update', { userId: body.user.id, role: 'agent' })
  await owner.call('user.update', { userId: body.user.id, active: false })
  expect(codeOf(await exchange(token))).toBe('unauthenticated')
})

test('tokens that prove nothing are refused', async () => {
  const secret = newSecret()
  await admin.call('identityKey.create', { kind: 'hs256', secret, issuer: 'site', audience: 'parley' })
  await admin.call('identityKey.create', { kind: 'rs256', publicKey: pem(rsa.publicKey) })
  const good = { sub: 'eve', iss: 'site', aud: 'parley' }
  const key = hmac(secret)
  const plain = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  expect((await exchange(await sign(good, key))).status).toBe(200)

  const { d: _d, ...publicJwk } = rsa.publicKey.export({ format: 'jwk' })
  const own = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const refused: Record<string, string> = {
    'no signature': `${plain({ alg: 'none', typ: 'JWT' })}.${plain(good)}.`,
    'the public key as a secret': await sign(good, createSecretKey(pem(rsa.publicKey), 'utf8')),
    'the public key’s bytes as a secret': await sign(
      good,
      createSecretKey(Buffer.from(String(publicJwk.n), 'base64url')),
    ),
    'another secret': await sign(good, hmac(newSecret())),
    'another algorithm': await sign(good, hmac(secret + secret), { alg: 'HS512' }),
    'another issuer': await sign({ ...good, iss: 'else' }, key),
    'no issuer': await sign({ sub: 'eve', aud: 'parley' }, key),
    'another audience': await sign({ ...good, aud: 'else' }, key),
    'no audience': await sign({ sub: 'eve', iss: 'site' }, key),
    'not yet valid': await sign({ ...good, nbf: hour() }, key),
    'nobody named': await sign({ iss: 'site', aud: 'parley' }, key),
    'an empty name': await sign({ ...good, sub: ' ' }, key),
    'a name with NUL': await sign({ ...good, sub: 'a\0b' }, key),
    'a name that is an object': await sign({ ...good, sub: { a: 1 } as unknown as string }, key),
    'a key of its own': await sign(good, own.privateKey, {
      alg: 'RS256',
      jwk: own.publicKey.export({ format: 'jwk' }),
    }),
    'a key from its own address': await sign(good, own.privateKey, {
      alg: 'RS256',
      jku: 'http://127.0.0.1:1/',
      kid: 'x',
    }),
    'an unknown critical header': await sign(good, key, { alg: 'HS256', crit: ['exp'], exp: 1 }).catch(
      () => 'x.y.z',
    ),
    'not a token': 'hello',
    'our own access token': owner.token,
  }
  for (const [what, token] of Object.entries(refused)) {
    expect([what, codeOf(await exchange(token))]).toEqual([what, 'unauthenticated'])
  }
  for (const kid of ['../../../dev/null', "' or 1=1 --", '__proto__']) {
    expect((await exchange(await sign(good, key, { alg: 'HS256', kid }))).status).toBe(200)
    expect(codeOf(await exchange(await sign(good, hmac(''.padEnd(32, '\0')), { alg: 'HS256', kid })))).toBe(
      'unauthenticated',
    )
  }
  expect(codeOf(await exchange(await sign({ ...good, exp: 1000 }, key)))).toBe('token_expired')
})

test('[A17] a session needs a token that ends within a day, and that names the audience of its key or none', async () => {
  const [open, named] = [newSecret(), newSecret()]
  await admin.call('identityKey.create', { kind: 'hs256', secret: open, staffRoles: { A: 'agent' } })
  await admin.call('identityKey.create', { kind: 'hs256', secret: named, audience: 'desk', issuer: 'a16' })
  const swap = async (claims: JWTPayload, secret = open) =>
    codeOf(await exchange(await sign({ sub: 'lea', role: 'A', iss: 'a16', ...claims }, hmac(secret))))
  expect(await swap({})).toBe(200)
  expect(await swap({ exp: hour() + 22 * 3600 })).toBe(200)
  expect(await swap({ exp: undefined })).toBe('unauthenticated')
  expect(await swap({ exp: hour() + 24 * 3600 })).toBe('unauthenticated')
  expect(await swap({ aud: 'elsewhere' })).toBe('unauthenticated')
  expect(await swap({ aud: [] })).toBe('unauthenticated')
  expect(await swap({ aud: server.inboxId })).toBe('unauthenticated')
  expect(await swap({ aud: 'desk' }, named)).toBe(200)
  expect(await swap({ aud: ['desk', 'elsewhere'] }, named)).toBe(200)
  expect(await swap({ aud: ['desk', server.inboxId] }, named)).toBe('unauthenticated')
  expect(await swap({ aud: 'desk', exp: undefined }, named)).toBe('unauthenticated')
})

test('[A17] a key whose audience is an inbox makes visitors and no sessions', async () => {
  const secret = newSecret()
  await admin.call('identityKey.create', { kind: 'hs256', secret, audience: server.inboxId })
  const token = await sign({ sub: 'mia', aud: server.inboxId }, hmac(secret))
  expect(codeOf(await exchange(token))).toBe('unauthenticated')
  expect((await exchange(token, { inboxId: server.inboxId })).status).toBe(200)
})

test('public keys: RS256 and EdDSA, each with its own algorithm only; of a private key only the public half is kept', async () => {
  const { id } = await admin.call('identityKey.create', {
    kind: 'eddsa',
    publicKey: ed.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  })
  await admin.call('identityKey.create', { kind: 'rs256', publicKey: pem(rsa.publicKey) })
  expect((await exchange(await sign({ sub: 'ed' }, ed.privateKey, { alg: 'EdDSA' }))).status).toBe(200)
  expect((await exchange(await sign({ sub: 'rsa' }, rsa.privateKey, { alg: 'RS256' }))).status).toBe(200)
  expect(codeOf(await exchange(await sign({ sub: 'rsa' }, rsa.privateKey, { alg: 'RS512' })))).toBe(
    'unauthenticated',
  )
  const row = await server.running.parley.chat.db
    .selectFrom('identity_key')
    .select('material')
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  expect(row.material).toMatch(/^-----BEGIN PUBLIC KEY-----/)
})

test('two live keys rotate: both are trusted until the old one is retired', async () => {
  const [before, after] = [newSecret(), newSecret()]
  const old = await admin.call('identityKey.create', { kind: 'hs256', secret: before })
  await admin.call('identityKey.create', { kind: 'hs256', secret: after })
  for (const secret of [before, after])
    expect((await exchange(await sign({ sub: 'r' }, hmac(secret)))).status).toBe(200)
  await admin.call('identityKey.retire', { identityKeyId: old.id })
  expect(codeOf(await exchange(await sign({ sub: 'r' }, hmac(before))))).toBe('unauthenticated')
  expect((await exchange(await sign({ sub: 'r' }, hmac(after)))).status).toBe(200)
  const shown = JSON.stringify([await admin.call('identityKey.list', {}), await owner.call('audit.list', {})])
  expect(shown).not.toContain(after)
  expect((await admin.try('identityKey.retire', { identityKeyId: old.id })).status).toBe(404)
})

test('a key set is fetched from its address, and an address we do not fetch is refused when the key is made', async () => {
  let fetched = 0
  const keys = createServer((_request, response) => {
    fetched++
    response.end(
      JSON.stringify({
        keys: [{ ...rsa.publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' }],
      }),
    )
  })
  await new Promise<void>((resolve) => keys.listen(0, '127.0.0.1', resolve))
  const jwksUrl = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/jwks`
  const { identityKeyId } = {
    identityKeyId: (await admin.call('identityKey.create', { kind: 'jwks', jwksUrl, issuer: 'idp' })).id,
  }
  const token = (kid: string) => sign({ sub: 'set', iss: 'idp' }, rsa.privateKey, { alg: 'RS256', kid })
  for (let i = 0; i < 3; i++) expect((await exchange(await token('one'))).status).toBe(200)
  expect(fetched).toBe(1)
  keys.closeAllConnections()
  keys.close()
  await admin.call('identityKey.retire', { identityKeyId })
  for (const bad of [
    'http://10.0.0.1/jwks',
    'https://127.0.0.1/jwks',
    'http://example.com/jwks',
    'https://[::ffff:a00:1]/',
  ]) {
    expect(codeOf(await admin.try('identityKey.create', { kind: 'jwks', jwksUrl: bad }))).toBe(
      'invalid_request',
    )
  }
})

test('a key set that cannot be reached is no verdict on the token', async () => {
  const { id } = await admin.call('identityKey.create', { kind: 'jwks', jwksUrl: 'http://127.0.0.1:9/jwks' })
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const answer = await exchange(await sign({ sub: 'x' }, stranger.privateKey, { alg: 'RS256', kid: 'one' }))
  expect([answer.status, codeOf(answer)]).toEqual([503, 'unavailable'])
  await admin.call('identityKey.retire', { identityKeyId: id })
})

test('keys are refused that are placeholders, weak, of another kind, or would grant too much', async () => {
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const refused = [
    { kind: 'hs256' },
    { kind: 'hs256', secret: 'your-secret-key-change-in-production' },
    { kind: 'hs256', secret: 'a'.repeat(64) },
    { kind: 'hs256', publicKey: pem(rsa.publicKey) },
    { kind: 'rs256', publicKey: pem(ed.publicKey) },
    { kind: 'rs256', publicKey: pem(short.publicKey) },
    { kind: 'eddsa', publicKey: pem(rsa.publicKey) },
    { kind: 'eddsa', publicKey: 'hello' },
    { kind: 'rs256', publicKey: pem(rsa.publicKey), secret: newSecret() },
  ] as const
  for (const input of refused) {
    expect([input, codeOf(await admin.try('identityKey.create', input))]).toEqual([input, 'invalid_request'])
  }
  const tooMuch = { kind: 'hs256', secret: newSecret(), staffRoles: { A: 'admin' } } as const
  expect(codeOf(await admin.try('identityKey.create', tooMuch))).toBe('forbidden')
})

test('a public key whose line ends have become two characters in an environment variable is that key', async () => {
  const publicKey = pem(rsa.publicKey).replaceAll('\n', '\\n')
  expect((await admin.try('identityKey.create', { kind: 'rs256', publicKey })).status).toBe(201)
})

test('doors that speak another service’s language get an actor; one workspace’s key says nothing in another', async () => {
  const secret = newSecret()
  await admin.call('identityKey.create', { kind: 'hs256', secret, staffRoles: { staff: 'agent' } })
  const { chat } = server.running.parley
  const token = await sign({ sub: 'door', role: 'staff' }, hmac(secret))
  const actors = await Promise.all(
    [1, 2, 3].map(() => identify(chat, server.workspaceId, token, { address: '127.0.0.1' })),
  )
  expect(new Set(actors.map((actor) => actor.userId)).size).toBe(1)
  expect(actors[0]).toMatchObject({ role: 'agent', verified: true, sessionId: null, address: '127.0.0.1' })
  // The older services look at no audience, and some of their tokens have no end.
  const loose = await sign({ sub: 'door', role: 'staff', aud: 'care', exp: undefined }, hmac(secret))
  expect(await identify(chat, server.workspaceId, loose)).toMatchObject({ role: 'agent' })
  const visitors = await sign({ sub: 'door', role: 'staff', aud: server.inboxId }, hmac(secret))
  await expect(identify(chat, server.workspaceId, visitors)).rejects.toMatchObject({
    code: 'unauthenticated',
  })
  const elsewhere = await server.workspace()
  await expect(identify(chat, elsewhere.workspaceId, token)).rejects.toMatchObject({
    code: 'unauthenticated',
  })
})
