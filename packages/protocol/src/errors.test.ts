import { expect, test } from 'vitest'
import { type ErrorCode, errors, mayPassLater } from './errors.ts'

test('what is wrong in a message stays wrong; what the place or one’s rights forbid may pass later', () => {
  const later = (code: ErrorCode) => mayPassLater({ code, retry: errors[code].retry })
  const wrong = ['invalid_request', 'bad_text', 'too_large', 'key_reused', 'not_found', 'file_type_refused']
  const refused = ['grant_required', 'forbidden', 'conversation_closed', 'conversation_archived']
  expect((wrong as ErrorCode[]).map(later)).toEqual(wrong.map(() => false))
  expect((refused as ErrorCode[]).map(later)).toEqual(refused.map(() => true))
  expect((['overloaded', 'unavailable', 'rate_limited'] as const).map(later)).toEqual([true, true, true])
})
