import { expect, test } from 'vitest'
import type { Actor } from '../chat/actor.ts'
import type { Frame } from './frame.ts'
import type { Listener } from './listener.ts'
import { Presence } from './presence.ts'

test('[W5] somebody who was away and whose page reloads is told to be online', () => {
  const presence = new Presence()
  const states: unknown[] = []
  const hear = ({ event }: Frame) => {
    if (event.type === 'presence.changed') states.push(event.presence.state)
  }
  presence.watch(connection('sam', hear), ['ana'])
  const before = connection('ana')
  presence.arrive(before)
  presence.set(before, 'away')
  presence.leave(before)
  expect(presence.of('ana')).toMatchObject({ state: 'away' })
  presence.arrive(connection('ana'))
  expect(states).toEqual(['online', 'away', 'online'])
  presence.close()
})

const connection = (userId: string, hear: (frame: Frame) => void = () => {}): Listener => ({
  actor: { userId } as Actor,
  hear,
  gained: () => {},
  recheck: () => {},
  drained: async () => {},
})
