import type { LogEvent, Participant } from '@parley/protocol'
import { expect, test } from 'vitest'
import type { Actor } from '../chat/actor.ts'
import type { Frame } from './frame.ts'
import { Hub } from './hub.ts'

const ana = { userId: 'ana', workspaceId: 'w', role: 'contact', inboxIds: [] } as unknown as Actor
const inTheGroup = { workspaceId: 'w', conversationId: 'group', inboxId: null }

function setting() {
  const heard: unknown[] = []
  const listener = {
    actor: ana,
    hear: ({ event }: Frame) => void heard.push(event.type),
    gained: (id: string) => void heard.push(`gained ${id}`),
    parted: (id: string) => void heard.push(`parted ${id}`),
    recheck: () => {},
    drained: async () => {},
  }
  let seq = 0
  const hub = new Hub(
    async () => ({ entries: [], upTo: seq, lastSeq: seq }),
    (error) => {
      throw error
    },
  )
  const log = (event: Partial<LogEvent>) => {
    const entry = { conversationId: 'group', seq: ++seq, at: '', actorId: null, ...event } as LogEvent
    hub.hear({ type: 'logged', ...inTheGroup, seq, entries: [{ event: entry, visibility: 'everyone' }] })
  }
  const joined = () =>
    log({ type: 'participant.joined', participant: { userId: 'ana', role: 'contact' } as Participant })
  return { hub, listener, heard, log, joined }
}

test('who comes in while it is being read what they take part in hears on', async () => {
  const { hub, listener, heard, log, joined } = setting()
  await hub.attach(listener, ana, async () => [])
  const read = Promise.withResolvers<[]>()
  const again = hub.attach(listener, ana, () => read.promise)
  joined()
  read.resolve([])
  expect(await again).toEqual([])
  log({ type: 'message.created' })
  expect(heard).toEqual(['gained group', 'participant.joined', 'message.created'])
})

test('who comes in before they are attached at all hears, too', async () => {
  const { hub, listener, heard, log, joined } = setting()
  await hub.attach(listener, ana, async () => {
    joined()
    return []
  })
  log({ type: 'message.created' })
  expect(heard).toEqual(['message.created'])
})

test('a conversation that is found to be theirs is told as a row, one that is no longer is named', async () => {
  const { hub, listener, heard } = setting()
  await hub.attach(listener, ana, async () => [{ conversationId: 'old', role: 'contact' }])
  const gone = await hub.attach(listener, ana, async () => [{ conversationId: 'new', role: 'contact' }])
  expect(gone).toEqual(['old'])
  expect(heard).toEqual(['gained new'])
})

test('[A7] a contact who is put out hears nothing more, however long it takes to look again', async () => {
  const { hub, listener, heard, log, joined } = setting()
  await hub.attach(listener, ana, async () => [])
  joined()
  await hub.follow(listener, { workspaceId: 'w', id: 'group' }, 1, 'everyone')
  log({ type: 'participant.left', userId: 'ana' })
  log({ type: 'message.created' })
  expect(heard).toEqual(['gained group', 'participant.joined', 'participant.left', 'parted group'])
  expect(hub.followed(listener)).toEqual([])
})

test('a log that cannot be read is a fault, one whose store is away is none, and neither costs a place', async () => {
  const { listener } = setting()
  const hole = new Error('The log has a hole')
  const away = Object.assign(new Error('terminating connection'), { code: '57P01' })
  const failures: unknown[] = [away, hole]
  const faults: unknown[] = []
  const hub = new Hub(
    async () => {
      const failure = failures.shift()
      if (failure) throw failure
      return { entries: [], upTo: 0, lastSeq: 0 }
    },
    (error, conversationId) => faults.push([error, conversationId]),
  )
  expect(await hub.follow(listener, { workspaceId: 'w', id: 'group' }, 0, 'everyone')).toBe(0)
  expect(faults).toEqual([[hole, 'group']])
})
