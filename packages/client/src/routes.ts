import type { Operations } from '@parley/protocol'

/**
 * Where each operation lives on REST: method and path, as the protocol has them. Written out here because the
 * protocol's own table carries schemas that a browser must not pay for. The types below refuse a row that is
 * missing, superfluous or spelled differently from the protocol.
 */
type Row<N extends keyof Operations> = `${Operations[N]['method']} ${Operations[N]['path']}`
type Realtime = {
  [N in keyof Operations as Operations[N] extends { realtime: true } ? N : never]: Row<N>
}
type RestOnly = { [N in Exclude<keyof Operations, keyof Realtime>]: Row<N> }

/** These are also commands of the live connection. */
export const realtimeRoutes: Realtime = {
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

export const restRoutes: RestOnly = {
  'setup.claim': 'POST /setup',
  'auth.register': 'POST /auth/register',
  'auth.login': 'POST /auth/login',
  'auth.refresh': 'POST /auth/refresh',
  'auth.exchange': 'POST /auth/exchange',
  'auth.logout': 'POST /auth/logout',
  'me.get': 'GET /me',
  'me.update': 'PATCH /me',
  'me.password': 'PUT /me/password',
  'invitation.create': 'POST /invitations',
  'invitation.list': 'GET /invitations',
  'invitation.revoke': 'DELETE /invitations/{invitationId}',
  'identityKey.create': 'POST /identity-keys',
  'identityKey.list': 'GET /identity-keys',
  'identityKey.retire': 'DELETE /identity-keys/{identityKeyId}',
  'apiKey.create': 'POST /api-keys',
  'apiKey.list': 'GET /api-keys',
  'apiKey.revoke': 'DELETE /api-keys/{apiKeyId}',
  'widget.config': 'GET /widget/{widgetKey}',
  'widget.session': 'POST /widget/{widgetKey}/session',
  'workspace.get': 'GET /workspace',
  'workspace.update': 'PATCH /workspace',
  'workspace.create': 'POST /workspaces',
  'user.list': 'GET /users',
  'user.get': 'GET /users/{userId}',
  'user.update': 'PATCH /users/{userId}',
  'inbox.create': 'POST /inboxes',
  'inbox.list': 'GET /inboxes',
  'inbox.get': 'GET /inboxes/{inboxId}',
  'inbox.update': 'PATCH /inboxes/{inboxId}',
  'inboxMember.list': 'GET /inboxes/{inboxId}/members',
  'inboxMember.put': 'PUT /inboxes/{inboxId}/members/{userId}',
  'inboxMember.remove': 'DELETE /inboxes/{inboxId}/members/{userId}',
  'contact.create': 'POST /contacts',
  'contact.list': 'GET /contacts',
  'contact.update': 'PATCH /contacts/{userId}',
  'grant.create': 'POST /grants',
  'grant.list': 'GET /grants',
  'grant.end': 'DELETE /grants/{grantId}',
  'audit.list': 'GET /audit',
  'analytics.get': 'GET /analytics',
  'limits.get': 'GET /limits',
  'message.revisions': 'GET /messages/{messageId}/revisions',
  'message.readers': 'GET /messages/{messageId}/receipts',
  'attachment.upload': 'POST /conversations/{conversationId}/attachments',
  'attachment.get': 'GET /attachments/{attachmentId}',
  'attachment.download': 'GET /files/{attachmentId}',
}
