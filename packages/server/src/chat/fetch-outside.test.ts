import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { fetchOutside, isFetchable, isReachable } from './fetch-outside.ts'

test.each([
  'https://10.0.0.1/',
  'https://127.0.0.1/',
  'https://0x7f.1/',
  'https://2130706433/',
  'https://0177.0.0.1/',
  'https://169.254.169.254/latest',
  'https://[::1]/',
  'https://[::ffff:10.0.0.1]/',
  'https://[64:ff9b::a00:1]/',
  'https://[2002:a00:1::]/',
  'https://[fd00::1]/',
  'https://100.64.0.1/',
  'http://example.com/',
  'http://10.0.0.1/',
  'http://192.168.0.1/',
  'https://user:pass@example.com/',
  'ftp://127.0.0.1/',
  'file:///etc/passwd',
  'not a url',
])('%s is not fetched', (url) => expect(isFetchable(url)).toBe(false))

test.each([
  'https://example.com/keys',
  'https://8.8.8.8/',
  'http://127.0.0.1:3000/',
  'http://localhost/',
  'http://[::1]:80/',
])('%s may be fetched', (url) => expect(isFetchable(url)).toBe(true))

test('a name may stand only for addresses that are allowed by themselves', () => {
  expect(isReachable('https:', '93.184.215.14')).toBe(true)
  expect(isReachable('https:', '2606:2800:21f:cb07:6820:80da:af6b:8b2c')).toBe(true)
  expect(isReachable('https:', '127.0.0.1')).toBe(false)
  expect(isReachable('http:', '127.0.0.2')).toBe(true)
  expect(isReachable('http:', '93.184.215.14')).toBe(false)
})

test('a public name that stands for this machine is not connected to', async () => {
  await expect(fetchOutside('https://localhost:9/')).rejects.toThrow(/not fetch from/)
})

test('redirects are not followed, large and slow answers are given up', async () => {
  const server = createServer((request, response) => {
    if (request.url === '/redirect') response.writeHead(302, { location: '/ok' }).end()
    else if (request.url === '/large') response.end('x'.repeat(2_000))
    else if (request.url === '/slow') response.write('…')
    else response.end('{"keys":[]}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    expect(await (await fetchOutside(`${url}/ok`)).json()).toEqual({ keys: [] })
    expect((await fetchOutside(`${url}/redirect`)).status).toBe(302)
    await expect(fetchOutside(`${url}/large`, { maxBytes: 1_000 })).rejects.toThrow(/larger/)
    await expect(fetchOutside(`${url}/slow`, { timeoutMs: 100 })).rejects.toThrow()
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
