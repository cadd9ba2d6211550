import type { Attachment, Event, Message } from '@parley/protocol'
import type { Actor } from '../../chat/actor.ts'
import { linked } from '../../chat/attachments/links.ts'
import { without } from '../../chat/ranges.ts'
import { newestFromOutside, readBy, readingsOf, type Side } from '../../chat/sides.ts'
import type { Door } from '../door.ts'
import { messageName, names } from './names.ts'
import { type ReadState, toMessage } from './translate.ts'

/** What a moment ago was unread on both sides: a message that has just been written. */
export const nobodyYet: ReadState = { contact: [], agent: [] }

export async function readStateOf({ chat, mount }: Door, conversationId: string): Promise<ReadState> {
  const readings = await readingsOf(chat.db, mount.workspaceId, conversationId)
  return { contact: readBy(readings, 'contact'), agent: readBy(readings, 'agent') }
}

/** Messages of one conversation as clients know them, with their names looked up at once. */
export async function tellMessages(door: Door, messages: readonly Message[], read: ReadState) {
  const [first] = messages
  if (!first) return []
  const senders = messages.flatMap(({ senderId }) => senderId ?? [])
  const [people, conversation] = await Promise.all([
    names.ofAll(door, 'person', senders),
    names.of(door, 'conversation', first.conversationId),
  ])
  return messages.map((message) => {
    const told = toMessage(
      message,
      {
        message: messageName(conversation, message.seq),
        conversation,
        sender: (message.senderId && people.get(message.senderId)) || null,
      },
      read,
    )
    const [file] = message.attachments
    if (file && told.fileUrl === file.url) files.set(told, file)
    return told
  })
}

export async function tellMessage(door: Door, message: Message, read: ReadState) {
  const [told] = await tellMessages(door, [message], read)
  if (!told) throw new Error('A message that was given was not told')
  return told
}

/** Files of ours behind messages that were told: links to them are signed for one reader, and put in last. */
const files = new WeakMap<object, Attachment>()

/** The message with its sender, whom each route shows in a way of its own. */
export function withSender<T extends object, S>(told: T, sender: S): T & { sender: S } {
  const file = files.get(told)
  const message = { ...told, sender }
  if (file) files.set(message, file)
  return message
}

/** The message as this reader may have it. */
export function forReader<T extends object>({ chat }: Door, told: T, reader: Actor): T {
  const file = files.get(told)
  if (!file) return told
  return { ...told, fileUrl: `${chat.config.publicUrl ?? ''}${linked(chat, file, reader).url}` }
}

const mostTold = 50

type Moved = Extract<Event, { type: 'receipt.moved' }>

/**
 * The messages whose flag turned with this move, as they are now: those that nobody else of the side had read. Of many,
 * the newest are told; whoever wants all of them loads the conversation again.
 */
export async function turnedBy(
  door: Door,
  { conversationId, receipt, newlyRead }: Moved,
): Promise<{ side: Side; messages: Awaited<ReturnType<typeof tellMessages>> } | null> {
  if (newlyRead?.length === 0) return null
  const { chat, mount } = door
  const readings = await readingsOf(chat.db, mount.workspaceId, conversationId)
  const side = readings.find((reading) => reading.userId === receipt.userId)?.side
  if (!side) return null
  const others = readings.filter((reading) => reading.userId !== receipt.userId)
  // A move that only its outcome is known of: the newest message shows that something was read.
  const turned = without(newlyRead ?? [[1, receipt.read]], readBy(others, side))
  const limit = newlyRead ? mostTold : 1
  const messages = await newestFromOutside(chat.db, mount.workspaceId, conversationId, side, turned, limit)
  const read = { contact: readBy(readings, 'contact'), agent: readBy(readings, 'agent') }
  return { side, messages: await tellMessages(door, messages, read) }
}
