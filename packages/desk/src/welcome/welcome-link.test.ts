import { expect, test } from 'vitest'
import { linkOf, parseWelcomeLink } from './welcome-link.ts'

test('a link says what it is for and carries its token', () => {
  const link = { kind: 'invite', token: 'a+b/c=' } as const
  expect(parseWelcomeLink(new URL(linkOf(link, 'https://chat.example')).hash)).toEqual(link)
  expect(parseWelcomeLink('#setup=t0ken')).toEqual({ kind: 'setup', token: 't0ken' })
})

test('anything else is no link', () => {
  for (const hash of ['', '#', '#setup=', '#other=t', '#setup=%E0%A4%A', 'setup=t', '#invite=a&b=c']) {
    expect(parseWelcomeLink(hash)).toBeNull()
  }
})
