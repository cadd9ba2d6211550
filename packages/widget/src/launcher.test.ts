import { expect, test } from 'vitest'
import { badgeOf, nameOf } from './launcher.ts'

test('the button is called by what it does, and says what is unread', () => {
  expect(nameOf(0)).toBe('Open chat')
  expect(nameOf(3)).toBe('Open chat, 3 unread')
})

test('the badge stays small', () => {
  expect([1, 99, 100].map(badgeOf)).toEqual(['1', '99', '99+'])
})
