import type { ShownMessage } from '@parley/client'

/** A message as the client shows it, with what a test cares about. */
export function message(given: Partial<ShownMessage> & { key: string }): ShownMessage {
  return {
    id: given.key,
    seq: 1,
    clientMessageId: given.key,
    conversationId: 'c1',
    senderId: given.mine ? 'ana' : 'sam',
    senderRole: given.mine ? 'contact' : 'agent',
    mine: false,
    status: 'sent',
    error: null,
    kind: 'text',
    body: given.key,
    visibility: 'everyone',
    replyToId: null,
    metadata: {},
    attachments: [],
    reactions: [],
    createdAt: '2026-05-04T10:00:00.000Z',
    editedAt: null,
    retractedAt: null,
    ...given,
  }
}
