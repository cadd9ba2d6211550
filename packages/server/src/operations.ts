import {
  type Access,
  type InputOf,
  limits,
  type Message,
  type OperationName,
  type Operations,
  operationOf,
  operations,
  type ResultOf,
} from '@parley/protocol'
import { visiblePeople } from './chat/acquaintance.ts'
import { type Actor, hasRank } from './chat/actor.ts'
import { getAnalytics } from './chat/analytics.ts'
import { createApiKey, listApiKeys, revokeApiKey } from './chat/api-keys.ts'
import { getAttachment, linkedMessage } from './chat/attachments.ts'
import { listAudit } from './chat/audit-log.ts'
import type { Chat } from './chat/chat.ts'
import { createContact, listContacts, updateContact } from './chat/contacts.ts'
import {
  archiveConversation,
  assignConversation,
  closeConversation,
  reopenConversation,
  takeConversation,
} from './chat/conversation-states.ts'
import { createConversation, deleteConversation, updateConversation } from './chat/conversations.ts'
import { Failure } from './chat/failure.ts'
import { createGrant, endGrant, listGrants } from './chat/grants.ts'
import { getMessage, listLog, listMessages, listRevisions } from './chat/history.ts'
import { createIdentityKey, listIdentityKeys, retireIdentityKey } from './chat/identity-keys.ts'
import { listInboxMembers, putInboxMember, removeInboxMember } from './chat/inbox-members.ts'
import { createInbox, getInbox, listInboxes, updateInbox } from './chat/inboxes.ts'
import { createInvitation, listInvitations, revokeInvitation } from './chat/invitations.ts'
import { changePassword, getMe, updateMe } from './chat/me.ts'
import { editMessage, retractMessage, setReaction } from './chat/message-changes.ts'
import { sendMessage, writeNote } from './chat/messages.ts'
import {
  addParticipant,
  leaveConversation,
  listParticipants,
  removeParticipant,
} from './chat/participants.ts'
import { getUser, listUsers, updateUser } from './chat/people.ts'
import { listReaders, listReceipts, markAllRead, markMessagesRead, moveReceipt } from './chat/receipts.ts'
import { register } from './chat/registration.ts'
import { type Caller, logout, refreshSession } from './chat/sessions.ts'
import { claimSetup } from './chat/setup.ts'
import { exchangeToken, login } from './chat/sign-in.ts'
import { countUnread, getConversation, listConversations } from './chat/summaries.ts'
import { setTyping } from './chat/typing.ts'
import { getWidgetConfig, openVisitorSession } from './chat/visitors.ts'
import { createWorkspace, getWorkspace, updateWorkspace } from './chat/workspaces.ts'
import type { Parley } from './parley.ts'
import { checkCommand } from './validation.ts'

/** Who stands behind a call: nobody in particular for public operations, else somebody signed in. */
type Who<N extends OperationName> = Operations[N]['access'] extends 'public' ? Caller : Actor
type Verb<N extends OperationName> = (parley: Parley, who: Who<N>, input: InputOf<N>) => Promise<ResultOf<N>>

/** Files come in and go out as bytes, by doors of their own. */
type Spoken = Exclude<OperationName, 'attachment.upload' | 'attachment.download'>

const verb =
  <Whose, Input, Result>(verb: (chat: Chat, who: Whose, input: Input) => Promise<Result>) =>
  ({ chat }: Parley, who: Whose, input: Input) =>
    verb(chat, who, input)

/** The one door into each fact: REST, sockets, streams and polls all end in this table. */
const verbs: { [N in Spoken]: Verb<N> } = {
  'setup.claim': verb(claimSetup),
  'auth.register': verb(register),
  'auth.login': verb(login),
  'auth.refresh': verb(refreshSession),
  'auth.exchange': verb(exchangeToken),
  'auth.logout': verb(logout),
  'me.get': verb(getMe),
  'me.update': verb(updateMe),
  'me.password': verb(changePassword),
  'invitation.create': verb(createInvitation),
  'invitation.list': verb(listInvitations),
  'invitation.revoke': verb(revokeInvitation),
  'identityKey.create': verb(createIdentityKey),
  'identityKey.list': verb(listIdentityKeys),
  'identityKey.retire': verb(retireIdentityKey),
  'apiKey.create': verb(createApiKey),
  'apiKey.list': verb(listApiKeys),
  'apiKey.revoke': verb(revokeApiKey),
  'widget.config': verb(getWidgetConfig),
  'widget.session': verb(openVisitorSession),
  'workspace.get': verb(getWorkspace),
  'workspace.update': verb(updateWorkspace),
  'workspace.create': verb(createWorkspace),
  'user.list': verb(listUsers),
  'user.get': verb(getUser),
  'user.update': verb(updateUser),
  'inbox.create': verb(createInbox),
  'inbox.list': verb(listInboxes),
  'inbox.get': verb(getInbox),
  'inbox.update': verb(updateInbox),
  'inboxMember.list': verb(listInboxMembers),
  'inboxMember.put': verb(putInboxMember),
  'inboxMember.remove': verb(removeInboxMember),
  'contact.create': verb(createContact),
  'contact.list': verb(listContacts),
  'contact.update': verb(updateContact),
  'grant.create': verb(createGrant),
  'grant.list': verb(listGrants),
  'grant.end': verb(endGrant),
  'audit.list': verb(listAudit),
  'analytics.get': verb(getAnalytics),
  'limits.get': async ({ chat }) => ({
    ...limits,
    attachmentBytes: chat.config.uploadBytes,
    outboxBytes: chat.config.outboxBytes,
  }),
  'conversation.create': verb(createConversation),
  'conversation.list': verb(listConversations),
  'conversation.get': verb(getConversation),
  'conversation.update': verb(updateConversation),
  'conversation.assign': verb(assignConversation),
  'conversation.take': verb(takeConversation),
  'conversation.leave': verb(leaveConversation),
  'conversation.close': verb(closeConversation),
  'conversation.reopen': verb(reopenConversation),
  'conversation.archive': verb(archiveConversation),
  'conversation.delete': verb(deleteConversation),
  'participant.list': verb(listParticipants),
  'participant.add': verb(addParticipant),
  'participant.remove': verb(removeParticipant),
  'message.send': verb(sendMessage),
  'message.note': verb(writeNote),
  'message.list': verb(listMessages),
  'message.get': verb(getMessage),
  'message.edit': verb(editMessage),
  'message.retract': verb(retractMessage),
  'message.react': ({ chat }, actor, input) => setReaction(chat, actor, { ...input, removed: false }),
  'message.unreact': ({ chat }, actor, input) => setReaction(chat, actor, { ...input, removed: true }),
  'message.revisions': verb(listRevisions),
  'message.readers': verb(listReaders),
  'log.list': verb(listLog),
  'receipt.move': verb(moveReceipt),
  'receipt.markRead': verb(markMessagesRead),
  'receipt.markAllRead': verb(markAllRead),
  'receipt.list': verb(listReceipts),
  'unread.get': ({ chat }, actor) => countUnread(chat, actor),
  'typing.set': verb(setTyping),
  'presence.get': async ({ chat, presence }, actor, { userIds }) => ({
    presence: (await visiblePeople(chat, actor, userIds)).map((userId) => presence.of(userId)),
  }),
  'presence.set': async ({ presence }, actor, { state }) => presence.setAll(actor, state),
  'attachment.get': verb(getAttachment),
}

/** Runs an operation whose input is valid already. Rank is checked here; everything finer is the verb's. */
export function perform(
  parley: Parley,
  name: OperationName,
  who: Caller | Actor,
  input: object,
): Promise<unknown> {
  requireAccess(operationOf(name).access, who)
  const run = verbs[name as Spoken] as
    | ((parley: Parley, who: Caller | Actor, input: object) => Promise<unknown>)
    | undefined
  if (!run) throw new Failure('unknown_operation')
  const answer = run(parley, who, input)
  return 'userId' in who ? answer.then((result) => withLinks(parley.chat, who, result)) : answer
}

/** The same from a realtime command: only operations that are commands too, with the whole input checked at once. */
export function performCommand(
  parley: Parley,
  name: OperationName,
  actor: Actor,
  input: Record<string, unknown>,
): Promise<unknown> {
  if (!operationOf(name).realtime) throw new Failure('unknown_operation')
  return perform(parley, name, actor, checkCommand(name, input))
}

export const isOperationName = (name: string): name is OperationName => Object.hasOwn(operations, name)

/** Links to files are signed for one reader, so that is done last: wherever a message stands in a result. */
function withLinks<T>(chat: Chat, reader: Actor, result: T): T {
  if (typeof result !== 'object' || result === null) return result
  if (Array.isArray(result)) {
    for (const [i, item] of result.entries()) result[i] = withLinks(chat, reader, item)
    return result
  }
  const holder = result as Record<string, unknown>
  if (Array.isArray(holder.attachments) && holder.attachments.length > 0) {
    return linkedMessage(chat, holder as Message, reader) as T
  }
  for (const key of ['messages', 'message', 'events', 'conversations', 'lastMessage'] as const) {
    if (holder[key]) holder[key] = withLinks(chat, reader, holder[key])
  }
  return result
}

function requireAccess(access: Access, who: Caller | Actor): void {
  if (access === 'public' || access === 'user') return
  if (!('role' in who) || !hasRank(who, access)) throw new Failure('forbidden', { required: access })
}
