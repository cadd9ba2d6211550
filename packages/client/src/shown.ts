import type { Message } from '@parley/protocol'
import type { MessageStatus, ShownMessage } from './api.ts'
import { type ConversationState, hasRead } from './conversation.ts'
import type { Entry, Outbox } from './outbox.ts'

/**
 * The messages of a conversation as they are drawn: those of the log, then mine that are still on their way. One that
 * failed is not on its way any more; it stays where it was written, and what came later stands below it.
 *
 * - S5 a pending message and its stored form share `key`, so a list keeps its element while the message settles.
 * - S6 a message of mine is delivered or read when somebody of the other side has got that far; between people of one
 *   kind everybody else is the other side.
 */
export function showMessages(outbox: Outbox, myself: () => string | null) {
  let shown = new Map<string, { of: Message | Entry; as: ShownMessage }>()

  function all(state: ConversationState): ShownMessage[] {
    const before = shown
    shown = new Map()
    const me = myself()
    const status = statusOf(state, me)
    // The same message with the same status is the same object, so that a list draws only what changed.
    const show = (of: Message | Entry, key: string, now: MessageStatus, make: () => ShownMessage) => {
      const old = before.get(key)
      const as = old?.of === of && old.as.status === now ? old.as : make()
      shown.set(key, { of, as })
      return as
    }
    const stored = state.messages.map((message) => {
      const mine = message.senderId !== null && message.senderId === me
      const key = (mine && message.clientMessageId) || message.id
      const now = mine ? status(message) : 'sent'
      return show(message, key, now, () => ({ ...message, key, mine, status: now, error: null }))
    })
    for (const entry of outbox.of(state.id)) {
      if (shown.has(entry.clientMessageId)) continue
      const as = show(entry, entry.clientMessageId, entry.state, () => pendingMessage(entry, state, me))
      const at = as.error ? stored.findIndex((one) => one.seq && one.seq > entry.after) : -1
      stored.splice(at < 0 ? stored.length : at, 0, as)
    }
    return stored
  }

  return { all, has: (key: string) => shown.has(key) }
}

/** S6 */
function statusOf(state: ConversationState, me: string | null): (message: Message) => MessageStatus {
  const roles = new Map(state.participants.map((one) => [one.userId, one.role]))
  const mine = me ? roles.get(me) : undefined
  const others = Object.values(state.receipts).filter((one) => one.userId !== me)
  const opposite = [...roles.values()].some((role) => role !== mine)
    ? others.filter((one) => roles.get(one.userId) !== (mine ?? 'agent'))
    : others
  const delivered = Math.max(0, ...opposite.map((one) => one.delivered))
  return ({ seq }) => {
    if (opposite.some((receipt) => hasRead(receipt, seq))) return 'read'
    return delivered >= seq ? 'delivered' : 'sent'
  }
}

function pendingMessage(entry: Entry, state: ConversationState, me: string | null): ShownMessage {
  const { clientMessageId, conversationId, createdAt, draft, error } = entry
  const [file] = draft.attachments
  const media = /^(image|audio|video)\//.exec(file?.mimeType ?? '')?.[1] as 'image' | undefined
  return {
    key: clientMessageId,
    id: null,
    seq: null,
    mine: true,
    status: entry.state,
    error,
    conversationId,
    clientMessageId,
    senderId: me,
    senderRole: state.participants.find((one) => one.userId === me)?.role ?? 'contact',
    kind: draft.kind ?? (file ? (media ?? 'file') : 'text'),
    body: draft.body ?? '',
    visibility: entry.name === 'message.note' ? 'agents' : 'everyone',
    replyToId: draft.replyToId ?? null,
    metadata: draft.metadata ?? {},
    attachments: [...draft.attachments],
    reactions: [],
    createdAt,
    editedAt: null,
    retractedAt: null,
  }
}
