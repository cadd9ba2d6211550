import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startServer, type TestServer } from '../src/testing.ts'
import { expectRefusal } from './world.ts'

let server: TestServer

beforeAll(async () => {
  server = await startServer({ env: { RATE_LIMIT: 'on' } })
})
afterAll(() => server[Symbol.asyncDispose]())

const somebody = { email: 'nobody@example.com', password: 'a wrong guess' }

test.each([
  ['/api/v1/auth/login', somebody],
  ['/api/v1/auth/register', { ...somebody, name: 'x', role: 'owner' }],
  ['/api/v1/auth/refresh', { refreshToken: 'guessed' }],
  ['/api/v1/setup', { ...somebody, setupToken: 'guessed', workspaceName: 'x', name: 'x' }],
  ['/api/v1/widget/guessed-key/session', {}],
])('[E3] guessing at %s is limited, per address, in the shape of every error', async (path, body) => {
  const answers = []
  for (let i = 0; i < 40; i++) answers.push(await server.rest('POST', path, { body }))
  const [first] = answers
  expect(first?.status).toBeGreaterThanOrEqual(400)
  const limited = answers.filter(({ status }) => status === 429)
  expect(limited.length).toBeGreaterThanOrEqual(5)
  for (const answer of limited) {
    expectRefusal(answer, 429, 'rate_limited')
    const seconds = Number(answer.headers.get('retry-after'))
    expect(seconds).toBeGreaterThanOrEqual(1)
    expect(seconds).toBeLessThanOrEqual(60)
    expect(answer.body.error).toMatchObject({ retry: true, retryAfter: seconds })
  }
  // Once limited, always within the minute; a forged address does not help, since no proxy of ours said it.
  const forged = await server.rest('POST', path, { body, headers: { 'x-forwarded-for': '203.0.113.9' } })
  expect(forged.status).toBe(429)
})

test('[E3] tries at passwords are counted once for all doors, each of which refuses in its own words', async () => {
  await using own = await startServer({ env: { RATE_LIMIT: 'on', PARLEY_MOUNTS: 'livesupport:0' } })
  const guess = { email: 'nobody@example.com', username: 'nobody', password: 'a wrong guess' }
  const { email, username, password } = guess
  const root = own.running.mounts[0]?.url
  const doors: [string, object][] = [
    [`${own.url}/api/v1/auth/login`, { email, password }],
    [`${own.url}/servicehub/login`, { username, password }],
    [`${own.url}/livesupport/auth/login`, { email, password }],
    [`${root}/auth/login`, { email, password }],
    [`${own.url}/priyo/api/auth/login`, { email, password }],
  ]
  const knock = async () => {
    const answers = []
    for (const [url, body] of doors) answers.push(await own.rest('POST', url, { body }))
    return answers
  }
  for (let i = 0; i < 5; i++)
    expect((await knock()).map(({ status }) => status)).toEqual(doors.map(() => 401))
  const agent = await own.person('agent')
  const change = () => agent.try('me.password', { current: 'guessed', next: password })
  for (let i = 0; i < 5; i++) expectRefusal(await change(), 401, 'invalid_credentials')
  expectRefusal(await change(), 429, 'rate_limited')
  const refused = await knock()
  for (const { status, headers } of refused) {
    expect(status).toBe(429)
    expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  }
  const [native, servicehub, livesupport, mounted, priyo] = refused.map(({ body }) => body)
  expect(native.error.code).toBe('rate_limited')
  expect(servicehub).toMatchObject({ statusCode: 429, error: 'Too Many Requests' })
  expect(livesupport).toEqual({ success: false, error: 'Too many requests, please try again later' })
  expect(mounted).toEqual(livesupport)
  expect(priyo).toEqual({
    error: 'Too many requests from this IP, please try again later.',
    retryAfter: '1 minute',
  })
})

test('[E3] behind a proxy the limit is by whom the proxy names, not by what stands before that', async () => {
  await using own = await startServer({ env: { RATE_LIMIT: 'on', TRUST_PROXY: 'on' } })
  const body = { email: 'nobody@example.com', password: 'a guess' }
  const guess = (before: number) =>
    own.rest('POST', '/api/v1/auth/login', {
      body,
      headers: { 'x-forwarded-for': `192.0.2.${before}, 203.0.113.7` },
    })
  const statuses = []
  for (let i = 0; i < 35; i++) statuses.push((await guess(i)).status)
  expect(statuses.slice(0, 30)).toEqual(Array(30).fill(401))
  expect(statuses.slice(30)).toEqual(Array(5).fill(429))
})

test('who has a session is not held up by guesses from the same address', async () => {
  const ana = await server.person('contact')
  for (let i = 0; i < 50; i++) expect((await ana.try('me.get', {})).status).toBe(200)
})

test('a visitor who comes back with their token does not count, however often and however many share the address', async () => {
  await using own = await startServer({ env: { RATE_LIMIT: 'on' } })
  const path = `/api/v1/widget/${own.widgetKey}/session`
  const { visitorToken } = (await own.rest('POST', path, { body: {} })).body
  const views = Array.from({ length: 350 }, () => own.rest('POST', path, { body: { visitorToken } }))
  for (const { status } of await Promise.all(views)) expect(status).toBe(201)
})

test('a session may be refreshed as often as its token is right', async () => {
  await using own = await startServer({ env: { RATE_LIMIT: 'on' } })
  const account = { name: 'Pat', email: 'pat@example.com', password: 'correct horse' }
  const { body } = await own.rest('POST', '/api/v1/auth/register', { body: account })
  let { refreshToken } = body.tokens
  for (let i = 0; i < 50; i++) {
    const refreshed = await own.rest('POST', '/api/v1/auth/refresh', { body: { refreshToken } })
    expect(refreshed.status).toBe(200)
    refreshToken = refreshed.body.refreshToken
  }
})

test('[E3] new visitors are limited, per address, and those who are there already can still come back', async () => {
  await using own = await startServer({ env: { RATE_LIMIT: 'on' } })
  const path = `/api/v1/widget/${own.widgetKey}/session`
  const first = await own.rest('POST', path, { body: {} })
  const others = Array.from({ length: 309 }, () => own.rest('POST', path, { body: {} }))
  const refused = (await Promise.all(others)).filter(({ status }) => status !== 201)
  expect(refused).toHaveLength(10)
  for (const answer of refused) expectRefusal(answer, 429, 'rate_limited')
  const { visitorToken } = first.body
  expect((await own.rest('POST', path, { body: { visitorToken } })).status).toBe(201)
})

test('[E3] visitor tokens that are wrong are limited, per address', async () => {
  await using own = await startServer({ env: { RATE_LIMIT: 'on' } })
  const path = `/api/v1/widget/${own.widgetKey}/session`
  const statuses = []
  for (let i = 0; i < 35; i++) {
    const body = { visitorToken: randomBytes(32).toString('base64url') }
    statuses.push((await own.rest('POST', path, { body })).status)
  }
  expect(statuses).toEqual([...Array(30).fill(401), ...Array(5).fill(429)])
})
