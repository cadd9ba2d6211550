import { operationNames, operationOf } from '@parley/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startServer, type TestServer } from '../src/testing.ts'

let server: TestServer

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

test.each(operationNames)('a browser lets a page of another origin ask for %s', async (name) => {
  const { method, path } = operationOf(name)
  const asked = 'authorization,content-type'
  const { status, headers } = await server.rest('OPTIONS', `/api/v1${path.replaceAll(/\{\w+\}/g, 'x')}`, {
    headers: {
      origin: 'https://shop.example',
      'access-control-request-method': method,
      'access-control-request-headers': asked,
    },
  })
  expect(status).toBe(204)
  expect(headers.get('access-control-allow-origin')).toBe('*')
  expect(headers.get('access-control-allow-methods')?.split(/, ?/)).toContain(method)
  expect(headers.get('access-control-allow-headers')).toBe(asked)
})
