import { expect, test } from 'vitest'
import { Again } from './again.ts'

test('what is asked for while it is being done is done once more, and never twice at the same time', async () => {
  const began: PromiseWithResolvers<void>[] = []
  const again = new Again(() => {
    const turn = Promise.withResolvers<void>()
    began.push(turn)
    return turn.promise
  })
  const done = again.ask()
  again.ask()
  again.ask()
  expect(began).toHaveLength(1)
  began[0]?.resolve()
  await expect.poll(() => began.length).toBe(2)
  began[1]?.resolve()
  await done
  expect(began).toHaveLength(2)
  again.ask()
  expect(began).toHaveLength(3)
})
