import type { Operations } from '@parley/protocol'

/**
 * Where each operation lives on REST: method and path, as the protocol has them. Written out here because the
 * protocol's own table carries schemas that a browser must not pay for. The types refuse a row that is missing,
 * superfluous or spelled differently from the protocol. What only the team uses is in `team-routes.ts`, so that a
 * visitor's page does not carry it.
 */
export type Row<N extends keyof Operations> = `${Operations[N]['method']} ${Operations[N]['path']}`
export type RealtimeRoutes = {
  [N in keyof Operations as Operations[N] extends { realtime: true } ? N : never]: Row<N>
}
export type Routes<N extends keyof Operations> = { [M in N]: Row<M> }
type Known = keyof typeof restRoutes

/** Every operation of the protocol that has no row in this file. */
export type TeamRoutes = Routes<Exclude<keyof Operations, keyof RealtimeRoutes | Known>>

/** These are also commands of the live connection. */
export const realtimeRoutes: RealtimeRoutes = {
  'conversation.create': 'POST /conversations',
  'conversation.list': 'GET /conversations',
  'conversation.get': 'GET /conversations/{conversationId}',
  'conversation.update': 'PATCH /conversations/{conversationId}',
  'conversation.assign': 'PUT /conversations/{conversationId}/assignee',
  'conversation.take': 'POST /conversations/{conversationId}/take',
  'conversation.leave': 'POST /conversations/{conversationId}/leave',
  'conversation.close': 'POST /conversations/{conversationId}/close',
  'conversation.reopen': 'POST /conversations/{conversationId}/reopen',
  'conversation.archive': 'POST /conversations/{conversationId}/archive',
  'conversation.delete': 'DELETE /conversations/{conversationId}',
  'participant.list': 'GET /conversations/{conversationId}/participants',
  'participant.add': 'PUT /conversations/{conversationId}/participants/{userId}',
  'participant.remove': 'DELETE /conversations/{conversationId}/participants/{userId}',
  'message.send': 'POST /conversations/{conversationId}/messages',
  'message.note': 'POST /conversations/{conversationId}/notes',
  'message.list': 'GET /conversations/{conversationId}/messages',
  'message.get': 'GET /messages/{messageId}',
  'message.edit': 'PATCH /messages/{messageId}',
  'message.retract': 'DELETE /messages/{messageId}',
  'message.react': 'PUT /messages/{messageId}/reactions/{emoji}',
  'message.unreact': 'DELETE /messages/{messageId}/reactions/{emoji}',
  'log.list': 'GET /conversations/{conversationId}/log',
  'receipt.move': 'PUT /conversations/{conversationId}/receipt',
  'receipt.markRead': 'POST /conversations/{conversationId}/receipt/messages',
  'receipt.markAllRead': 'POST /conversations/{conversationId}/receipt/all',
  'receipt.list': 'GET /conversations/{conversationId}/receipts',
  'unread.get': 'GET /unread',
  'typing.set': 'POST /conversations/{conversationId}/typing',
  'presence.get': 'POST /presence/query',
  'presence.set': 'PUT /presence',
}

/** What a visitor may need besides. */
export const restRoutes = {
  'me.get': 'GET /me',
  'me.update': 'PATCH /me',
  'widget.config': 'GET /widget/{widgetKey}',
  'workspace.get': 'GET /workspace',
  'user.get': 'GET /users/{userId}',
  'grant.list': 'GET /grants',
  'limits.get': 'GET /limits',
  'message.readers': 'GET /messages/{messageId}/receipts',
  'attachment.upload': 'POST /conversations/{conversationId}/attachments',
  'attachment.get': 'GET /attachments/{attachmentId}',
} as const satisfies { [N in keyof Operations]?: Row<N> }
