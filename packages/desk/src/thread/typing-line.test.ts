import { expect, test } from 'vitest'
import { typingText } from './typing-line.tsx'

test('typing is told by name', () => {
  expect(typingText(['Maya'])).toBe('Maya is typing…')
  expect(typingText(['Maya', 'Sam'])).toBe('Maya and Sam are typing…')
  expect(typingText(['Maya', 'Sam', 'Ana', 'Jo'])).toBe('Maya, Sam and 2 more are typing…')
})
