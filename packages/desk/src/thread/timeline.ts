import type { ConversationView, ShownMessage } from '@parley/client'
import type { LogEvent } from '@parley/protocol'
import { dayName, isSameDay } from '../time.ts'
import { noticeText } from './notice.ts'
import type { NameOf } from './people.ts'

/** What a thread draws, from top to bottom. */
export type TimelineEntry =
  | { readonly type: 'day'; readonly key: string; readonly name: string }
  | { readonly type: 'unread'; readonly key: string }
  | { readonly type: 'notice'; readonly key: string; readonly at: string; readonly text: string }
  | { readonly type: 'group'; readonly key: string; readonly group: MessageGroup }

/** Messages that one person sent in one go. Notes and messages to everybody never share a group. */
export type MessageGroup = {
  readonly senderId: string | null
  readonly senderName: string
  readonly isNote: boolean
  /** Mine and the team's stand on the end side, the others' on the start side. */
  readonly side: 'start' | 'end'
  readonly messages: readonly ShownMessage[]
}

/** A pause this long begins a new group. */
const pauseMs = 5 * 60_000

type TimelineOptions = {
  nameOf: NameOf
  now: number
  /** What waited for me when the conversation was opened; null draws no line. */
  waiting: Waiting | null
}

/** Messages after `readTo`, up to the one that was last when the conversation was opened. */
export type Waiting = { readonly readTo: number; readonly last: number }

/** Messages in the order given, notices among them by their place in the log, with days between. Pure. */
export function timeline(
  shown: Pick<ConversationView, 'messages' | 'notices' | 'conversation'>,
  { nameOf, now, waiting }: TimelineOptions,
): readonly TimelineEntry[] {
  const entries: TimelineEntry[] = []
  const isSupport = shown.conversation?.kind === 'support'
  let lastAt: string | null = null
  let lineDrawn = waiting === null

  const items = inOrder(shown.messages, shown.notices)
  for (const [index, item] of items.entries()) {
    if (goesWithoutSaying(item, items[index - 1], items[index + 1])) continue
    const at = 'at' in item ? item.at : item.createdAt
    const text = 'at' in item ? noticeText(item, nameOf) : item.kind === 'system' ? item.body : null
    if ('at' in item && text === null) continue
    if (lastAt === null || !isSameDay(lastAt, at)) {
      entries.push({ type: 'day', key: `day ${at.slice(0, 10)} ${item.seq}`, name: dayName(at, now) })
    }
    lastAt = at
    if (text !== null) {
      entries.push({ type: 'notice', key: `notice ${item.seq}`, at, text })
      continue
    }
    const message = item as ShownMessage
    if (!lineDrawn && waits(message, waiting)) {
      lineDrawn = true
      entries.push({ type: 'unread', key: 'unread' })
    }
    addMessage(entries, message, isSupport, nameOf)
  }
  return entries
}

/** Two lists that ascend by seq become one. A message without seq keeps its neighbours. */
function inOrder(messages: readonly ShownMessage[], notices: readonly LogEvent[]): readonly Item[] {
  const merged: Item[] = []
  let next = 0
  for (const [index, message] of messages.entries()) {
    const stored = message.seq === null ? messages.slice(index).find(({ seq }) => seq !== null) : message
    const end = stored?.seq ?? Infinity
    for (let notice = notices[next]; notice && notice.seq < end; notice = notices[++next]) merged.push(notice)
    merged.push(message)
  }
  return [...merged, ...notices.slice(next)]
}

type Item = ShownMessage | LogEvent

/** Joining is not told beside what says it too: that somebody started the conversation, took it, or was given it. */
function goesWithoutSaying(item: Item, before: Item | undefined, after: Item | undefined): boolean {
  if (!('type' in item) || item.type !== 'participant.joined') return false
  const { userId } = item.participant
  if (before && 'type' in before && before.type === 'conversation.created' && before.actorId === userId)
    return true
  return (
    after !== undefined &&
    'type' in after &&
    after.type === 'conversation.updated' &&
    after.changes.assigneeId === userId
  )
}

function waits({ mine, seq }: ShownMessage, waiting: Waiting | null): boolean {
  return !mine && waiting !== null && seq !== null && seq > waiting.readTo && seq <= waiting.last
}

function addMessage(entries: TimelineEntry[], message: ShownMessage, isSupport: boolean, nameOf: NameOf) {
  const isNote = message.visibility === 'agents'
  const last = entries.at(-1)
  const before = last?.type === 'group' ? last.group.messages.at(-1) : undefined
  if (last?.type === 'group' && before && belongs(last.group, before, message, isNote)) {
    const group = { ...last.group, messages: [...last.group.messages, message] }
    entries[entries.length - 1] = { ...last, group }
    return
  }
  const isTeam = message.senderRole === 'agent' || message.senderRole === 'bot'
  const group: MessageGroup = {
    senderId: message.senderId,
    senderName: nameOf(message.senderId),
    isNote,
    side: message.mine || (isSupport && isTeam) ? 'end' : 'start',
    messages: [message],
  }
  entries.push({ type: 'group', key: message.key, group })
}

function belongs(group: MessageGroup, before: ShownMessage, message: ShownMessage, isNote: boolean): boolean {
  return (
    group.senderId === message.senderId &&
    group.isNote === isNote &&
    Date.parse(message.createdAt) - Date.parse(before.createdAt) < pauseMs
  )
}
