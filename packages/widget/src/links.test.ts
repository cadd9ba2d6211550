import fc from 'fast-check'
import { expect, test } from 'vitest'
import { piecesOf } from './links.ts'

const linksIn = (text: string) => piecesOf(text).flatMap(({ text, href }) => (href ? [[text, href]] : []))

test('addresses become links, and the text around them stays', () => {
  expect(piecesOf('See https://example.com/a?b=c#d for more')).toEqual([
    { text: 'See ', href: null },
    { text: 'https://example.com/a?b=c#d', href: 'https://example.com/a?b=c#d' },
    { text: ' for more', href: null },
  ])
  expect(linksIn('www.example.com')).toEqual([['www.example.com', 'https://www.example.com/']])
  expect(linksIn('write to help@example.com.')).toEqual([['help@example.com', 'mailto:help@example.com']])
})

test('what ends the sentence does not belong to the address, a bracket opened in it does', () => {
  expect(linksIn('(https://example.com/a).')).toEqual([['https://example.com/a', 'https://example.com/a']])
  expect(linksIn('https://example.com/a_(b)!')).toEqual([
    ['https://example.com/a_(b)', 'https://example.com/a_(b)'],
  ])
})

test('nothing else is ever a link', () => {
  for (const text of [
    'javascript:alert(1)',
    'data:text/html,x',
    'file:///etc',
    'http://',
    'ftp://example.com',
    'a.b',
  ]) {
    expect(linksIn(text), text).toEqual([])
  }
})

test('the pieces put together are the text, and every link is http, https or mailto', () => {
  const bit = fc.oneof(
    fc.string(),
    fc.constantFrom('https://', 'www.', '@', 'example.com', ' ', ')', '(', '.', 'javascript:', '\n'),
  )
  fc.assert(
    fc.property(fc.array(bit), (bits) => {
      const text = bits.join('')
      const pieces = piecesOf(text)
      expect(pieces.map((piece) => piece.text).join('')).toBe(text)
      for (const { href } of pieces) if (href) expect(href).toMatch(/^(https?|mailto):/)
    }),
  )
})
