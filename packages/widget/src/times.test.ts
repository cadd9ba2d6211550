import { expect, test } from 'vitest'
import { dayOf } from './times.ts'

const now = new Date(2026, 4, 4, 12)
const on = (...day: [number, number, number]) => dayOf(new Date(...day, 9).toISOString(), now)

test('days near are called by name, days further off by date', () => {
  expect(on(2026, 4, 4)).toBe('Today')
  expect(on(2026, 4, 3)).toBe('Yesterday')
  expect(on(2026, 3, 20)).toContain('20')
  expect(on(2026, 3, 20)).not.toContain('2026')
  expect(on(2025, 3, 20)).toContain('2025')
})
