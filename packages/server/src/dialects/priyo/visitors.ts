import { createHash, randomUUID } from 'node:crypto'
import { openerOf, standingOf } from '../../chat/access.ts'
import type { Actor } from '../../chat/actor.ts'
import { ensureBot } from '../../chat/bots.ts'
import { createContact } from '../../chat/contacts.ts'
import { createConversation } from '../../chat/conversations.ts'
import { Failure, notFound } from '../../chat/failure.ts'
import { pageOfMessages } from '../../chat/history.ts'
import { findByExternalId } from '../../chat/identities.ts'
import { findInbox, type InboxRow } from '../../chat/inboxes.ts'
import { sendMessage } from '../../chat/messages.ts'
import { requireOrigin } from '../../chat/origins.ts'
import { personById } from '../../chat/people.ts'
import type { Caller } from '../../chat/sessions.ts'
import type { PersonRow } from '../../chat/user-view.ts'
import type { Priyo } from './priyo.ts'
import { isActive } from './translate.ts'

/** Whoever knows a visitorId is that visitor. It is kept hashed, so that no list of contacts gives it away. */
const externalIdOf = (visitorId: string) =>
  `visitor:${createHash('sha256').update(visitorId).digest('base64url')}`

export const emailOf = (visitorId: string) => `visitor_${visitorId}@widget.local`

export type Visitor = { actor: Actor; person: PersonRow }

/** The visitor of this id, or null. An e-mail that belongs to an account is only what the visitor says of themselves. */
export async function findVisitor(priyo: Priyo, caller: Caller, visitorId: string): Promise<Visitor | null> {
  const person = await findByExternalId(priyo.chat.db, priyo.workspaceId, externalIdOf(visitorId))
  return person ? admitted(priyo, caller, person) : null
}

export async function meetVisitor(
  priyo: Priyo,
  caller: Caller,
  visitorId: string,
  { email, name }: { email?: string; name?: string } = {},
): Promise<Visitor> {
  const known = await findVisitor(priyo, caller, visitorId)
  if (known) return known
  const { id } = await createContact(
    priyo.chat,
    { workspaceId: priyo.workspaceId },
    {
      name: name ?? 'Visitor',
      externalId: externalIdOf(visitorId),
      ...(email !== undefined && { email }),
    },
  )
  return admitted(priyo, caller, await personById(priyo.chat.db, priyo.workspaceId, id))
}

/** Where the inbox asks for a proven identity, a visitorId is none; and its list of pages holds here too. */
async function admitted(priyo: Priyo, caller: Caller, person: PersonRow): Promise<Visitor> {
  const inbox = await inboxOf(priyo)
  if (person.role !== 'contact' || person.deactivated_at) throw new Failure('unauthenticated')
  if (inbox.identity_required && !person.verified) throw new Failure('unauthenticated')
  const actor: Actor = {
    workspaceId: priyo.workspaceId,
    userId: person.id,
    name: person.name,
    role: 'contact',
    sessionId: null,
    inboxIds: [],
    visitorInboxId: inbox.id,
    verified: person.verified,
    address: caller.address,
  }
  await requireOrigin(priyo.chat, actor, caller)
  return { actor, person }
}

export const inboxOf = ({ chat, workspaceId, door }: Priyo): Promise<InboxRow> =>
  findInbox(chat.db, workspaceId, door.mount.options.inbox)

/** The visitor's one active conversation; a new one begins with a welcome. */
export async function conversationOf(priyo: Priyo, { actor, person }: Visitor): Promise<string> {
  const { chat, workspaceId } = priyo
  const support = await ensureBot(chat, workspaceId, { externalId: 'widget-support', name: 'Support' })
  const conversationId = await openOrFind(priyo, actor, person, support)
  const { total } = await pageOfMessages(chat, actor, { conversationId, page: 1, limit: 1 })
  if (total === 0) {
    const { greeting } = await inboxOf(priyo)
    await sendMessage(chat, support, {
      conversationId,
      clientMessageId: 'welcome',
      body: greeting || 'Hello! How can we help you today?',
    })
  }
  return conversationId
}

async function openOrFind(priyo: Priyo, actor: Actor, person: PersonRow, support: Actor): Promise<string> {
  try {
    const { conversation } = await createConversation(
      priyo.chat,
      actor,
      {
        kind: 'support',
        subject: `Widget Chat - ${person.name}`,
        participantIds: [support.userId],
        ...(actor.visitorInboxId && { inboxId: actor.visitorInboxId }),
      },
      { exclusiveKey: String(person.external_id), strangersWelcome: true },
    )
    return conversation.id
  } catch (error) {
    const id =
      error instanceof Failure && error.code === 'conversation_exists' && error.details.conversationId
    if (typeof id === 'string') return id
    throw error
  }
}

/** The visitor who opened this conversation, for whoever has named it by its secret name. */
export async function visitorBehind(priyo: Priyo, caller: Caller, conversationId: string): Promise<Actor> {
  const opener = await openerOf(priyo.chat.db, priyo.workspaceId, conversationId)
  const person = await personById(priyo.chat.db, priyo.workspaceId, opener)
  if (!person.external_id?.startsWith('visitor:')) throw notFound()
  const { actor } = await admitted(priyo, caller, person)
  const { conversation } = await standingOf(priyo.chat.db, actor, conversationId)
  if (conversation.kind !== 'support' || !isActive(conversation)) throw notFound()
  return actor
}

/** A page of an active conversation of the visitor's, by the name that only the visitor knows it by. */
export async function widgetPage(priyo: Priyo, actor: Actor, name: unknown) {
  const conversationId = priyo.widgetNames.uuidOf(name)
  if (!conversationId) throw notFound()
  const { messages, standing } = await pageOfMessages(priyo.chat, actor, {
    conversationId,
    page: 1,
    limit: 50,
  })
  if (!isActive(standing.conversation)) throw notFound()
  return { conversationId, messages }
}

/** Writes as the visitor. A conversation that was closed stays closed; the next one begins with `conversationOf`. */
export async function writeAsVisitor(priyo: Priyo, actor: Actor, name: unknown, body: string) {
  const conversationId = priyo.widgetNames.uuidOf(name)
  if (!conversationId) throw notFound()
  const input = { conversationId, clientMessageId: randomUUID(), body }
  return sendMessage(priyo.chat, actor, input, { reopens: 'never' })
}
