import { createSecretKey } from 'node:crypto'
import { once } from 'node:events'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import WebSocket from 'ws'
import { startServer, type TestServer } from '../../src/testing.ts'

let server: TestServer
let token: string
let owner: string

beforeAll(async () => {
  server = await startServer({ args: ['--demo'] })
  token = await new SignJWT({ userId: 'nora', role: 'USER' })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('15m')
    .sign(createSecretKey(server.running.demo?.identitySecret ?? '', 'utf8'))
  owner = (await server.person('owner')).token
})
afterAll(() => server[Symbol.asyncDispose]())

/** JSON that a parser takes and gives back as something else. */
const lost = ['1e400', '-1e400', '9007199254740993', '-9007199254740993']
const says = 'A number that JSON does not keep exactly; send it as text'
const careforall = '/careforall/api/conversations'

test.each([
  ['/servicehub/login', '"username":"x","password":"x"', { error: `n: ${says}` }],
  [
    '/livesupport/auth/login',
    '"email":"x","password":"x"',
    { success: false, error: 'Invalid request schema' },
  ],
  [
    '/priyo/api/auth/login',
    '"email":"x@example.com","password":"x"',
    { error: 'Validation error', details: [`"n" ${says}`] },
  ],
  [
    '/tutorgo/chat/bookings',
    '"studentId":"s","tutorId":"t","status":"confirmed"',
    { success: false, message: 'Invalid message format' },
  ],
])(
  '[B8] %s refuses a number that would come back as another, in its own form',
  async (path, fields, body) => {
    for (const number of lost) {
      const answer = await server.rest('POST', path, { token: owner, raw: `{${fields},"n":${number}}` })
      expect([answer.status, answer.body], number).toEqual([400, body])
    }
  },
)

test('[B8] metadata of CareForAll keeps its numbers, or is refused with its field', async () => {
  const open = (metadata: string) =>
    server.rest('POST', careforall, { token, raw: `{"subject":"x","metadata":${metadata}}` })
  const kept = { whole: 9_007_199_254_740_991, part: -1.5e-7 }
  const { body } = await open(JSON.stringify(kept))
  expect(body.data.metadata).toEqual(kept)
  const id = body.data.conversationId
  const socket = new WebSocket(
    `${server.url.replace('http', 'ws')}/careforall/ws/conversations/${id}?token=${token}`,
  )
  const heard = async () => JSON.parse(String((await once(socket, 'message'))[0]))
  expect(await heard()).toMatchObject({ type: 'system' })
  for (const number of lost) {
    const refused = { code: 'VALIDATION_ERROR', message: `metadata.n.0: ${says}` }
    const metadata = `{"n":[${number}]}`
    expect(await open(metadata)).toMatchObject({ status: 400, body: { success: false, error: refused } })
    const raw = `{"content":"x","metadata":${metadata}}`
    expect(await server.rest('POST', `${careforall}/${id}/messages`, { token, raw })).toMatchObject({
      status: 400,
      body: { error: refused },
    })
    socket.send(`{"type":"message","content":"x","metadata":${metadata}}`)
    expect(await heard()).toEqual({ ...refused, type: 'error', code: 'INVALID_MESSAGE' })
  }
  socket.close()
  const { body: history } = await server.rest('GET', `${careforall}/${id}/messages`, { token })
  expect(history.data.pagination.total).toBe(0)
})
