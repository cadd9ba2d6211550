import { expect, test } from 'vitest'
import { hueOf, initialOf } from './avatar.tsx'

test('the initial is the first letter a reader sees', () => {
  expect(['ana', ' élodie', 'Ömer', '👩‍🚀 Sally', ''].map(initialOf)).toEqual(['A', 'É', 'Ö', '👩‍🚀', '?'])
})

test('a person keeps the colour; ids made in the same moment get different ones', () => {
  const id = '01a1fbca-5648-78fd-a215-fd0735c17ffc'
  expect(hueOf(id)).toBe(hueOf(id))
  const neighbours = Array.from(
    { length: 16 },
    (_, i) => `01a1fbca-5648-78fd-a215-fd0735c17ff${i.toString(16)}`,
  )
  expect(new Set(neighbours.map(hueOf)).size).toBeGreaterThan(8)
})
