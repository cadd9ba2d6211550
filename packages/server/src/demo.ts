import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { sql } from 'kysely'
import type { Actor } from './chat/actor.ts'
import type { Chat } from './chat/chat.ts'
import { assignConversation, closeConversation } from './chat/conversation-states.ts'
import { createConversation } from './chat/conversations.ts'
import { createIdentityKey } from './chat/identity-keys.ts'
import { sendMessage, writeNote } from './chat/messages.ts'
import { hashPassword } from './chat/passwords.ts'

/** How to sign in as the owner of the example workspace; the password is new at each start. */
export type DemoSignIn = {
  email: string
  password: string
  /** Signs tokens (HS256) that say who somebody is, as another service would: `userId`, and `role` where it is ADMIN. */
  identitySecret: string
}

const email = 'owner@demo.example'

/**
 * Fills an empty first workspace with an example: a small team, a few contacts and what they said. The text is
 * written by the verbs themselves, so it is as real as any. Returns null where the workspace has an owner of its own.
 */
export async function makeDemo(chat: Chat, workspaceId: string): Promise<DemoSignIn | null> {
  const password = randomBytes(9).toString('base64url')
  const owner = await chat.db
    .selectFrom('person')
    .select(['id', 'email'])
    .where('workspace_id', '=', workspaceId)
    .where('role', '=', 'owner')
    .executeTakeFirst()
  if (owner && owner.email !== email) return null
  if (owner) {
    await chat.db
      .updateTable('person')
      .set({ password_hash: await hashPassword(password) })
      .where('workspace_id', '=', workspaceId)
      .where('id', '=', owner.id)
      .execute()
    const identitySecret = await trustedSecret(chat, ownerOf(workspaceId, owner.id))
    return { email, password, identitySecret }
  }
  const first = await person(chat, workspaceId, 'owner', 'Demo owner', {
    email,
    password_hash: await hashPassword(password),
  })
  const agent = await person(chat, workspaceId, 'agent', 'Demo agent')
  await chat.db
    .insertInto('inbox_member')
    .columns(['workspace_id', 'inbox_id', 'person_id'])
    .expression((eb) =>
      eb
        .selectFrom('inbox')
        .select(({ ref, val }) => [
          ref('workspace_id').as('workspace_id'),
          ref('id').as('inbox_id'),
          sql<string>`${val(agent.userId)}::uuid`.as('person_id'),
        ])
        .where('workspace_id', '=', workspaceId),
    )
    .execute()
  for (const story of stories) await tell(chat, workspaceId, story, { contact: null, agent, owner: first })
  return { email, password, identitySecret: await trustedSecret(chat, first) }
}

const ownerOf = (workspaceId: string, userId: string): Actor => ({
  workspaceId,
  userId,
  name: 'Demo owner',
  role: 'owner',
  sessionId: null,
  inboxIds: [],
  visitorInboxId: null,
  verified: true,
  address: null,
})

/** Made once: doors that keep no accounts of their own can be tried with it, and tokens outlive a restart. */
async function trustedSecret(chat: Chat, owner: Actor): Promise<string> {
  const known = await chat.db
    .selectFrom('identity_key')
    .select('material')
    .where('workspace_id', '=', owner.workspaceId)
    .where('kind', '=', 'hs256')
    .where('user_id_claim', '=', 'userId')
    .where('retired_at', 'is', null)
    .orderBy('id')
    .executeTakeFirst()
  if (known) return known.material
  const secret = randomBytes(24).toString('base64url')
  const staffRoles = { ADMIN: 'admin' } as const
  await createIdentityKey(chat, owner, { kind: 'hs256', secret, userIdClaim: 'userId', staffRoles })
  return secret
}

type Line = ['contact' | 'agent' | 'owner' | 'note', string]
type Story = { contact: string; subject: string; lines: Line[]; end: 'open' | 'assigned' | 'closed' }

const stories: Story[] = [
  {
    contact: 'A customer with a late parcel',
    subject: 'Where is my order?',
    lines: [
      ['contact', 'Hello, my parcel should have come on Tuesday. Could you look where it is?'],
      ['agent', 'Good morning! It left our warehouse on Monday evening. I am asking the carrier now.'],
      [
        'note',
        'The carrier says: lost in sorting. A second parcel goes out today if it is not found by noon.',
      ],
      ['agent', 'They have found it: it comes tomorrow between nine and twelve. Sorry for the wait.'],
      ['contact', 'That suits me well, thank you.'],
    ],
    end: 'closed',
  },
  {
    contact: 'Somebody who compares plans',
    subject: 'Monthly or yearly?',
    lines: [
      ['contact', 'Can I begin monthly and change to yearly later without losing anything?'],
      ['agent', 'Yes, at any time. What is left of the month is counted towards the year.'],
      ['contact', 'And is the invoice still the same one?'],
    ],
    end: 'assigned',
  },
  {
    contact: 'A first visitor',
    subject: '',
    lines: [
      ['contact', 'Hi! I am trying out the chat on your page.'],
      ['contact', 'Does a message survive if I reload now?'],
    ],
    end: 'open',
  },
]

async function tell(
  chat: Chat,
  workspaceId: string,
  { contact: name, subject, lines, end }: Story,
  cast: { contact: Actor | null; agent: Actor; owner: Actor },
): Promise<void> {
  const contact = await person(chat, workspaceId, 'contact', name)
  const { conversation } = await createConversation(chat, contact, { kind: 'support', subject })
  const conversationId = conversation.id
  for (const [who, body] of lines) {
    const clientMessageId = randomUUIDv7()
    if (who === 'note') await writeNote(chat, cast.agent, { conversationId, clientMessageId, body })
    else await sendMessage(chat, { ...cast, contact }[who], { conversationId, clientMessageId, body })
  }
  if (end !== 'open')
    await assignConversation(chat, cast.agent, { conversationId, userId: cast.agent.userId })
  if (end === 'closed') await closeConversation(chat, cast.agent, { conversationId })
}

async function person(
  chat: Chat,
  workspaceId: string,
  role: 'owner' | 'agent' | 'contact',
  name: string,
  more: { email?: string; password_hash?: string } = {},
): Promise<Actor> {
  const userId = randomUUIDv7()
  await chat.db
    .insertInto('person')
    .values({ workspace_id: workspaceId, id: userId, role, name, verified: role !== 'contact', ...more })
    .execute()
  const inboxes = await chat.db
    .selectFrom('inbox')
    .select('id')
    .where('workspace_id', '=', workspaceId)
    .execute()
  return {
    workspaceId,
    userId,
    name,
    role,
    sessionId: null,
    inboxIds: role === 'contact' ? [] : inboxes.map((inbox) => inbox.id),
    visitorInboxId: null,
    verified: true,
    address: null,
  }
}
