import type { ConversationSummary, Event, LogEvent } from '@parley/protocol'
import type { ListQuery } from './api.ts'
import { amend, mergeReceipt, touch } from './conversation.ts'

/**
 * The rows of all lists, as one fold of the feed. Pure. Lists are views of the rows (`select`).
 *
 * - F6 a row contains every entry up to its `lastSeq`; only newer entries are folded into it.
 * - F7 a row that arrives whole (a page, an answer, `conversation.changed`) replaces one that is not newer; receipts merge.
 * - F8 an entry of a conversation without a row is kept in `unknown` until its row arrives, then folded by F6. The
 *   driver fetches what stands in `unknown`.
 * - F9 where an entry does not tell enough to say how many are unread or who is named, the row is `stale`:
 *   still shown, fetched again by the driver.
 */
export type Rows = {
  readonly rows: ReadonlyMap<string, ConversationSummary>
  readonly unknown: ReadonlyMap<string, readonly LogEvent[]>
  readonly stale: ReadonlySet<string>
}

export const noRows: Rows = { rows: new Map(), unknown: new Map(), stale: new Set() }

/** How many people a row names. */
const named = 20

export function applyToRows(state: Rows, event: Event, me: string | null): Rows {
  switch (event.type) {
    case 'conversation.changed':
      return putRow(state, event.summary, me)
    case 'conversation.lost':
    case 'conversation.deleted':
      return dropRow(state, event.conversationId)
    case 'receipt.moved': {
      const row = state.rows.get(event.conversationId)
      return row && event.receipt.userId === me ? setRow(state, moved(row, event.receipt)) : state
    }
  }
  // Weather, and what only a newer server tells (SPEC B7). An entry has its place, whatever it is called.
  if (!('seq' in event)) return state
  const row = state.rows.get(event.conversationId)
  if (row) return event.seq > row.conversation.lastSeq ? setRow(state, fold(row, event, me)) : state
  const entries = [...(state.unknown.get(event.conversationId) ?? []), event]
  return { ...state, unknown: new Map(state.unknown).set(event.conversationId, entries) }
}

/** F7 and F8. */
export function putRow(state: Rows, summary: ConversationSummary, me: string | null): Rows {
  const { id, lastSeq } = summary.conversation
  const old = state.rows.get(id)
  const waiting = state.unknown.get(id)
  // Of two with the same position the arriving one: receipts may have moved without an entry.
  const newer = old && old.conversation.lastSeq > lastSeq ? old : summary
  const receipt = (newer === old ? summary : old)?.receipt
  const unknown = new Map(state.unknown)
  unknown.delete(id)
  const stale = new Set(state.stale)
  if (newer === summary) stale.delete(id)
  const row = receipt ? moved(newer, receipt) : { row: newer, stale: false }
  const next = setRow({ ...state, unknown, stale }, row)
  return (waiting ?? []).reduce((rows, event) => applyToRows(rows, event, me), next)
}

export function dropRow(state: Rows, id: string): Rows {
  const next = { rows: new Map(state.rows), unknown: new Map(state.unknown), stale: new Set(state.stale) }
  for (const held of Object.values(next)) held.delete(id)
  return next
}

type Folded = { row: ConversationSummary; stale: boolean }

function setRow(state: Rows, { row, stale }: Folded): Rows {
  const { id } = row.conversation
  return {
    ...state,
    rows: new Map(state.rows).set(id, row),
    stale: stale ? new Set(state.stale).add(id) : state.stale,
  }
}

/** F6 */
function fold(row: ConversationSummary, event: LogEvent, me: string | null): Folded {
  const next = { ...row, conversation: touch(row.conversation, event) }
  let stale = false
  switch (event.type) {
    case 'message.created':
      next.lastMessage = event.message
      if (event.message.senderId !== me && event.message.kind !== 'system') next.unread++
      break
    case 'message.edited':
    case 'message.retracted':
    case 'message.reacted':
      next.lastMessage = row.lastMessage && amend(row.lastMessage, event)
      stale = event.type === 'message.retracted' && row.unread > 0
      break
    case 'participant.joined':
      next.participants = row.participants.filter((one) => one.userId !== event.participant.userId)
      if (next.participants.length < named) next.participants.push(event.participant)
      break
    case 'participant.left':
      next.participants = row.participants.filter((one) => one.userId !== event.userId)
      stale = row.participants.length >= named
  }
  return { row: next, stale }
}

/** My marks moved: everything read leaves nothing unread, in between only the server can count. */
function moved(row: ConversationSummary, given: NonNullable<ConversationSummary['receipt']>): Folded {
  const receipt = mergeReceipt(row.receipt, given)
  if (receipt.read >= (row.lastMessage?.seq ?? 0))
    return { row: { ...row, receipt, unread: 0 }, stale: false }
  const same =
    row.receipt?.read === receipt.read &&
    JSON.stringify(row.receipt.readBeyond) === JSON.stringify(receipt.readBeyond)
  return { row: { ...row, receipt }, stale: !same && row.unread > 0 }
}

/** The rows of one list, newest activity first. `from`: its pages reach back to here, and no row may stand below. */
export function select(state: Rows, query: ListQuery, me: string | null, from: string) {
  return [...state.rows.values()]
    .filter((row) => row.conversation.updatedAt >= from && matches(row, query, me))
    .sort(
      (a, b) =>
        compare(b.conversation.updatedAt, a.conversation.updatedAt) ||
        compare(b.conversation.id, a.conversation.id),
    )
}

export const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

export function matches(row: ConversationSummary, query: ListQuery, me: string | null): boolean {
  const { kind, status, assigneeId, inboxId } = row.conversation
  const here = (userId: string | null) => row.participants.some((one) => one.userId === userId)
  const active = status !== 'closed' && status !== 'archived'
  if (query.inboxId && query.inboxId !== inboxId) return false
  if (query.contactId && !here(query.contactId)) return false
  if (query.status && !(query.status === 'active' ? active : query.status === status)) return false
  switch (query.view) {
    case 'mine':
      return assigneeId === me
    case 'unassigned':
      return assigneeId === null && kind === 'support'
    case 'participating':
      return row.receipt !== null || here(me)
    default:
      return true
  }
}
