import type { ShownMessage } from '@parley/client'
import type { Participant } from '@parley/protocol'
import { strings } from './strings.ts'
import { sameDay } from './times.ts'

/**
 * What stands in the thread, from top to bottom: lines between days, a line where the unread begins, and groups: what
 * one person wrote within a few minutes. Pure.
 */
export type ThreadItem =
  | { readonly kind: 'day'; readonly key: string; readonly at: string }
  | { readonly kind: 'new'; readonly key: string }
  | {
      readonly kind: 'group'
      readonly key: string
      readonly mine: boolean
      readonly name: string
      readonly lines: readonly Line[]
    }

export type Line = {
  readonly message: ShownMessage
  /** How far it has come is written below it; else only told on asking. */
  readonly showsStatus: boolean
}

const groupMs = 5 * 60_000

/** `newAfter`: messages of the team above this position came while the visitor was away. */
export function threadOf(
  messages: readonly ShownMessage[],
  participants: readonly Participant[],
  newAfter: number | null,
): ThreadItem[] {
  const items: ThreadItem[] = []
  const telling = tellingOf(messages)
  const names = new Map(participants.map((one) => [one.userId, one.name]))
  let before: ShownMessage | undefined
  let isMarked = newAfter === null
  for (const message of messages) {
    const firstOfDay = !before || !sameDay(new Date(before.createdAt), new Date(message.createdAt))
    if (firstOfDay) items.push({ kind: 'day', key: `day:${message.key}`, at: message.createdAt })
    const firstNew = !isMarked && !message.mine && (message.seq ?? 0) > (newAfter ?? 0)
    if (firstNew) {
      isMarked = true
      items.push({ kind: 'new', key: 'new' })
    }
    const line = { message, showsStatus: telling.has(message.key) }
    const group = items.at(-1)
    if (before && !firstOfDay && !firstNew && group?.kind === 'group' && belongs(before, message)) {
      items[items.length - 1] = { ...group, lines: [...group.lines, line] }
    } else {
      const name = message.mine ? strings.you : (names.get(message.senderId ?? '') ?? strings.team)
      items.push({ kind: 'group', key: message.key, mine: message.mine, name, lines: [line] })
    }
    before = message
  }
  return items
}

function belongs(before: ShownMessage, message: ShownMessage): boolean {
  const apart = Date.parse(message.createdAt) - Date.parse(before.createdAt)
  return before.mine === message.mine && before.senderId === message.senderId && apart < groupMs
}

/**
 * Marks only ever cover everything above them, so "Read" below the last read message says it of all before. What is on
 * its way or stuck says so each for itself.
 */
function tellingOf(messages: readonly ShownMessage[]): Set<string> {
  const last = new Map<string, string>()
  for (const { mine, status, key } of messages) {
    if (mine) last.set(status === 'failed' || status === 'queued' ? key : status, key)
  }
  return new Set(last.values())
}

/** Who of the team is here, for the line under the inbox's name. */
export function companyOf(participants: readonly Participant[]): string | null {
  const names = participants.filter((one) => one.role !== 'contact' && !one.leftAt).map((one) => one.name)
  return names.length ? strings.with(listed(names)) : null
}

const listed = (names: readonly string[]) =>
  names.length > 2 ? `${names.slice(0, 2).join(', ')} +${names.length - 2}` : names.join(', ')
