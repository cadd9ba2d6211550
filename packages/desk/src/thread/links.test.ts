import { expect, test } from 'vitest'
import { findLinks } from './links.ts'

const links = (text: string) =>
  findLinks(text).flatMap((piece) => (typeof piece === 'string' ? [] : [piece.text]))

test('an address is found without the punctuation of its sentence', () => {
  expect(findLinks('See https://a.example/b?c=1#d, please.')).toEqual([
    'See ',
    { href: 'https://a.example/b?c=1#d', text: 'https://a.example/b?c=1#d' },
    ', please.',
  ])
  expect(links('(https://a.example/x)')).toEqual(['https://a.example/x'])
  expect(links('https://en.example/wiki/Parley_(talk)')).toEqual(['https://en.example/wiki/Parley_(talk)'])
  expect(links('“https://a.example”! http://b.example')).toEqual(['https://a.example', 'http://b.example'])
})

test('only http and https are followed', () => {
  expect(
    links('javascript:alert(1) data:text/html,x file:///etc ftp://a.example mailto:a@b.example'),
  ).toEqual([])
  expect(links('https:// http://[ https://%')).toEqual([])
})

test('text comes back whole, whatever it holds', () => {
  for (const text of [
    '',
    'plain',
    '<img src=x onerror=alert(1)>',
    'a https://x.example/<b> https://y.example…',
  ]) {
    const whole = findLinks(text).map((piece) => (typeof piece === 'string' ? piece : piece.text))
    expect(whole.join('')).toBe(text)
  }
})

test('a long hostile text takes no time', () => {
  const started = performance.now()
  findLinks(`${'https://a.example/((((((((((('.repeat(1_100)} ${')'.repeat(30_000)}`)
  findLinks(`https://a.example/${'.'.repeat(32_000)}`)
  expect(performance.now() - started).toBeLessThan(500)
})
