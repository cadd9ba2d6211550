import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { watchTyping } from './typing.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function watch() {
  const told: boolean[] = []
  let changes = 0
  const typing = watchTyping(
    () => 'me',
    (on) => told.push(on),
    () => changes++,
  )
  return { typing, told, changes: () => changes, names: () => typing.all().map((one) => one.name) }
}

test('[W1] somebody types until they stop, or have not been heard for six seconds; I am not among them', () => {
  const { typing, names, changes } = watch()
  typing.hear('ana', 'Ana', true)
  typing.hear('me', 'Me', true)
  vi.advanceTimersByTime(4_000)
  typing.hear('sam', 'Sam', true)
  typing.hear('ana', 'Ana', true)
  expect(names()).toEqual(['Sam', 'Ana'])
  vi.advanceTimersByTime(5_999)
  expect(names()).toEqual(['Sam', 'Ana'])
  typing.hear('sam', 'Sam', false)
  expect(names()).toEqual(['Ana'])
  const before = changes()
  vi.advanceTimersByTime(1)
  expect(names()).toEqual([])
  expect(changes()).toBe(before + 1)
})

test('whose message has come does not type any more, and after the connection is lost nobody does', () => {
  const { typing, names } = watch()
  for (const name of ['Ana', 'Sam', 'Eve']) typing.hear(name, name, true)
  typing.forget('Sam')
  expect(names()).toEqual(['Ana', 'Eve'])
  typing.forget(null)
  expect(names()).toEqual(['Ana', 'Eve'])
  typing.forget()
  expect(names()).toEqual([])
})

test('that I type is told every three seconds while I do, and taken back when I pause for five', () => {
  const { typing, told } = watch()
  for (let key = 0; key < 8; key++) {
    typing.set(true)
    vi.advanceTimersByTime(500)
  }
  expect(told).toEqual([true, true])
  vi.advanceTimersByTime(4_499)
  expect(told).toEqual([true, true])
  vi.advanceTimersByTime(1)
  expect(told).toEqual([true, true, false])
  typing.set(false)
  expect(told).toEqual([true, true, false])
})

test('nothing happens after it is closed', () => {
  const { typing, told, changes } = watch()
  typing.hear('ana', 'Ana', true)
  typing.set(true)
  typing.close()
  vi.advanceTimersByTime(20_000)
  expect(told).toEqual([true])
  expect(changes()).toBe(1)
})
