import { expect, test } from 'vitest'
import { clientAddress } from './addresses.ts'

test.each([
  ['no proxy', 0, '203.0.113.7', '10.0.0.1'],
  ['one, which added the client', 1, '203.0.113.7', '203.0.113.7'],
  ['one, and the client wrote something first', 1, '192.0.2.1, 203.0.113.7', '203.0.113.7'],
  ['two, one behind the other', 2, '192.0.2.1, 203.0.113.7, 10.0.0.2', '203.0.113.7'],
  ['two, but somebody came past the first', 2, '203.0.113.7', '10.0.0.1'],
  ['one that says nothing', 1, undefined, '10.0.0.1'],
  ['one that passes on what is no address', 1, '<script>', '10.0.0.1'],
  ['one, in the new protocol', 1, '2001:db8::7', '2001:db8::7'],
])('behind %s', (_, proxies, forwardedFor, expected) => {
  expect(clientAddress(proxies, forwardedFor, '10.0.0.1')).toBe(expected)
})
