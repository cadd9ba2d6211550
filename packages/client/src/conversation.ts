import type { Conversation, LogEvent, Message, Participant, Receipt } from '@parley/protocol'

/**
 * One conversation as a fold of its log. Pure: no clock, no network.
 *
 * - F1 an event whose seq is not greater than the state's is refused: it has been applied. Holes are not looked for,
 *   because a contact never receives the team's notes; the server sees to the gaps.
 * - F2 `messages` is a window without gaps, from its first message to `seq`, ascending, each message once. Entries
 *   about messages before the window change nothing.
 * - F3 an answer to a send may be ahead of the log: it takes its place by seq, and its event later finds it there.
 * - F4 receipts have no seq and merge by maximum.
 * - F5 what was fetched beside the log (people, the conversation's row, earlier pages) is at least as new as the
 *   position it was asked at; events heard since are folded over it again, which changes nothing they had done.
 */
export type ConversationState = {
  readonly id: string
  readonly seq: number
  readonly conversation: Conversation | null
  readonly participants: readonly Participant[]
  readonly messages: readonly Message[]
  readonly hasEarlier: boolean
  readonly receipts: Readonly<Record<string, Receipt>>
  /** Log entries that are not about messages. */
  readonly notices: readonly LogEvent[]
}

export const emptyConversation = (id: string): ConversationState => ({
  id,
  seq: 0,
  conversation: null,
  participants: [],
  messages: [],
  hasEarlier: false,
  receipts: {},
  notices: [],
})

/** F1, then the entry's own effect. */
export function apply(state: ConversationState, event: LogEvent): ConversationState {
  if (event.seq <= state.seq) return state
  const next = { ...state, seq: event.seq, conversation: touch(state.conversation, event) }
  switch (event.type) {
    case 'message.created':
      return { ...next, messages: insert(state.messages, event.message) }
    case 'message.edited':
    case 'message.retracted':
    case 'message.reacted':
      return { ...next, messages: state.messages.map((message) => amend(message, event)) }
    case 'conversation.deleted':
      return { ...next, messages: [], hasEarlier: false, notices: [...state.notices, event] }
    case 'participant.joined':
    case 'participant.left':
      next.participants = people(state.participants, event)
  }
  return { ...next, notices: [...state.notices, event] }
}

/** The row of a conversation after one more entry; an entry that the row already contains changes nothing. */
export function touch<T extends Conversation | null>(conversation: T, event: LogEvent): T {
  if (!conversation || event.seq <= conversation.lastSeq) return conversation
  const changes = event.type === 'conversation.updated' ? event.changes : null
  return { ...conversation, ...changes, lastSeq: event.seq, updatedAt: event.at }
}

/** One message after one entry, which may be about another one. */
export function amend(message: Message, event: LogEvent): Message {
  if (!('messageId' in event) || event.messageId !== message.id) return message
  switch (event.type) {
    case 'message.edited':
      return { ...message, body: event.body, editedAt: event.at }
    case 'message.retracted':
      return { ...message, body: '', attachments: [], reactions: [], metadata: {}, retractedAt: event.at }
    case 'message.reacted':
      return { ...message, reactions: react(message.reactions, event.emoji, event.userId, !event.removed) }
  }
}

export function react(reactions: Message['reactions'], emoji: string, userId: string, on: boolean) {
  const all = new Map(reactions.map((one) => [one.emoji, one.userIds]))
  const others = (all.get(emoji) ?? []).filter((id) => id !== userId)
  all.set(emoji, on ? [...others, userId] : others)
  return [...all].map(([emoji, userIds]) => ({ emoji, userIds })).filter((one) => one.userIds.length)
}

/** Everybody who is or was here. Coming back replaces the earlier stay. */
export function people(participants: readonly Participant[], event: LogEvent): readonly Participant[] {
  if (event.type === 'participant.joined') {
    const all = new Map(participants.map((one) => [one.userId, one]))
    return [...all.set(event.participant.userId, event.participant).values()]
  }
  if (event.type !== 'participant.left') return participants
  return participants.map((one) => (one.userId === event.userId ? { ...one, leftAt: event.at } : one))
}

function insert(messages: readonly Message[], message: Message): readonly Message[] {
  const at = messages.findLastIndex((one) => one.seq <= message.seq)
  if (messages[at]?.seq === message.seq) return messages
  return messages.toSpliced(at + 1, 0, message)
}

/** F3: the answer to a send. One that the log has passed is in the window already, or before it. */
export const settle = (state: ConversationState, message: Message): ConversationState =>
  message.seq > state.seq ? { ...state, messages: insert(state.messages, message) } : state

/** The newest page begins the window anew. Answers ahead of it (F3) stay, unless the numbering itself was reset. */
export function begin(
  state: ConversationState,
  page: { messages: readonly Message[]; lastSeq: number; hasMore: boolean },
  reset = false,
): ConversationState {
  const ahead = reset ? [] : state.messages.filter((message) => message.seq > page.lastSeq)
  return {
    ...state,
    seq: page.lastSeq,
    // The page may hold them already: its messages can be younger than its `lastSeq`.
    messages: ahead.reduce(insert, page.messages),
    hasEarlier: page.hasMore,
    receipts: reset ? {} : state.receipts,
    notices: [],
  }
}

/** F5: people, row, and what is not a message up to the page, fetched after `begin`; `heard` is every event since. */
export function surround(
  state: ConversationState,
  fetched: {
    participants: readonly Participant[]
    conversation: Conversation
    notices: readonly LogEvent[]
  },
  heard: readonly LogEvent[],
): ConversationState {
  return {
    ...state,
    participants: heard.reduce(people, fetched.participants),
    conversation: heard.reduce(touch, fetched.conversation),
    notices: [...fetched.notices, ...state.notices],
  }
}

/** F5: a page before the window; `heard` is every event since it was asked for. */
export function extend(
  state: ConversationState,
  page: { messages: readonly Message[]; hasMore: boolean },
  heard: readonly LogEvent[],
): ConversationState {
  const first = state.messages[0]?.seq ?? Number.POSITIVE_INFINITY
  const earlier = page.messages
    .filter((message) => message.seq < first)
    .map((message) => heard.reduce(amend, message))
  return { ...state, messages: [...earlier, ...state.messages], hasEarlier: page.hasMore }
}

/** F4 */
export function moveReceipt(state: ConversationState, receipt: Receipt): ConversationState {
  const merged = mergeReceipt(state.receipts[receipt.userId], receipt)
  return { ...state, receipts: { ...state.receipts, [receipt.userId]: merged } }
}

/** Who never moved a mark. */
export const emptyReceipt = (userId: string): Receipt => ({
  userId,
  delivered: 0,
  read: 0,
  deliveredAt: null,
  readAt: null,
  allReadAt: null,
  readBeyond: [],
})

export function mergeReceipt(a: Receipt | null | undefined, b: Receipt): Receipt {
  if (!a) return b
  const read = Math.max(a.read, b.read)
  return {
    userId: b.userId,
    read,
    delivered: Math.max(a.delivered, b.delivered),
    readAt: b.read >= a.read ? (b.readAt ?? a.readAt) : a.readAt,
    deliveredAt: b.delivered >= a.delivered ? (b.deliveredAt ?? a.deliveredAt) : a.deliveredAt,
    allReadAt: (a.allReadAt ?? '') > (b.allReadAt ?? '') ? a.allReadAt : b.allReadAt,
    readBeyond: union([...a.readBeyond, ...b.readBeyond], read),
  }
}

function union(ranges: Receipt['readBeyond'], above: number): Receipt['readBeyond'] {
  const result: Receipt['readBeyond'] = []
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = result.at(-1)
    if (to <= above) continue
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else result.push([Math.max(from, above + 1), to])
  }
  return result
}

/** Has this reader got this far? */
export const hasRead = (receipt: Receipt, seq: number) =>
  receipt.read >= seq || receipt.readBeyond.some(([from, to]) => from <= seq && seq <= to)
