import { describe, expect, test } from 'vitest'
import type { Announcement } from '../chat/chat.ts'
import type { Fanout } from './fanout.ts'
import { memoryFanout } from './fanout-memory.ts'

const word: Announcement = { type: 'access', workspaceId: 'w', userIds: ['ana'] }

/** What every fan-out keeps, whatever lies beneath. */
function fanoutContract(make: () => Fanout): void {
  test('the node that announces hears it too', async () => {
    const fanout = make()
    const heard: Announcement[] = []
    fanout.listen((announcement) => heard.push(announcement))
    fanout.announce(word)
    await expect.poll(() => heard).toEqual([word])
    await fanout.close()
  })

  test('announcing before anybody listens, and after closing, is no error', async () => {
    const fanout = make()
    fanout.announce(word)
    await fanout.close()
    fanout.announce(word)
  })
}

for (const make of [memoryFanout]) describe(make.name, () => fanoutContract(make))
