import { expect, test } from 'vitest'
import { age, dayName, isSameDay } from './time.ts'

const at = (year: number, month: number, day: number, hour = 12, minute = 0) =>
  new Date(year, month - 1, day, hour, minute)
const now = at(2026, 3, 11).getTime()
const ago = (ms: number) => age(new Date(now - ms).toISOString(), now)

test('age is as short as a list row needs it', () => {
  expect([ago(0), ago(59_000), ago(60_000), ago(3_599_000)]).toEqual(['now', 'now', '1m', '59m'])
  expect([ago(3_600_000), ago(86_399_000), ago(86_400_000)]).toEqual(['1h', '23h', '1d'])
  expect(age(at(2026, 2, 3).toISOString(), now)).toBe('3 Feb')
  expect(age(at(2024, 2, 3).toISOString(), now)).toBe('3 Feb 2024')
})

test('a clock that runs ahead is not the future', () => {
  expect(ago(-90_000)).toBe('now')
})

test('days are called today and yesterday by the calendar, not by hours', () => {
  const early = at(2026, 3, 11, 0, 5).getTime()
  expect(dayName(at(2026, 3, 11, 0, 1).toISOString(), early)).toBe('Today')
  expect(dayName(at(2026, 3, 10, 23, 59).toISOString(), early)).toBe('Yesterday')
  expect(dayName(at(2026, 3, 9).toISOString(), early)).toMatch(/^Monday,? 9 March$/)
  expect(dayName(at(2025, 3, 9).toISOString(), early)).toMatch(/^Sunday,? 9 March 2025$/)
  expect(isSameDay(at(2026, 3, 10, 23, 59).toISOString(), at(2026, 3, 11, 0, 1).toISOString())).toBe(false)
})
