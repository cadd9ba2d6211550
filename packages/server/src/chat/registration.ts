import { randomUUIDv7 } from 'node:crypto'
import type { Inbox, InputOf, Session } from '@parley/protocol'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { hasRank, isStaff } from './actor.ts'
import { audit } from './audit.ts'
import { type Change, type Chat, change } from './chat.ts'
import { refusingDuplicates } from './conflicts.ts'
import { Failure } from './failure.ts'
import { writeInbox } from './inboxes.ts'
import { acceptInvitation, findInvitation, type InvitationRow } from './invitations.ts'
import { metadataText } from './metadata.ts'
import { hashPassword } from './passwords.ts'
import { type Decision, decideRegistration, type Proof } from './registration-rules.ts'
import { type Caller, openSession } from './sessions.ts'
import { isSameSecret } from './tokens.ts'
import { type PersonRow, viewUser } from './user-view.ts'
import {
  findWorkspace,
  registrationMode,
  viewWorkspace,
  type WorkspaceRow,
  workspaceById,
} from './workspaces.ts'

/** Makes an account, as the workspace allows, and signs it in. */
export async function register(
  chat: Chat,
  caller: Caller,
  input: InputOf<'auth.register'>,
): Promise<Session> {
  const workspace = await findWorkspace(chat.db, input.workspace)
  const { workspace: _slug, ...asked } = input
  return registerPerson(chat, caller, { ...asked, workspaceId: workspace.id }, async (change, person) => ({
    user: viewUser(person),
    workspace: viewWorkspace(chat, workspace),
    tokens: await openSession(chat, change.db, person),
  }))
}

export type Registration = {
  workspaceId: string
  name: string
  password: string
  email?: string
  username?: string
  /** Without one: the role of the invitation, else a contact. */
  role?: InvitationRow['role']
  invitation?: string
  registrationSecret?: string
  metadata?: Record<string, unknown>
}

/**
 * The one way into a workspace by signing up, for every door. `finish` says what else belongs to it, in the same
 * transaction (a session, an inbox to work in), and what the answer is; when it fails, nothing is stored. `check` may
 * refuse what else a door minds, once it is clear that somebody may register at all.
 */
export async function registerPerson<T>(
  chat: Chat,
  caller: Caller,
  asked: Registration,
  finish: (change: Change, person: PersonRow) => Promise<T>,
  { check }: { check?: () => Promise<void> } = {},
): Promise<T> {
  const workspace = await workspaceById(chat.db, asked.workspaceId)
  const { invitation, ...admission } = await admit(chat, caller, workspace, asked)
  await check?.()
  await refuseTaken(chat.db, asked)
  const passwordHash = await hashPassword(asked.password)
  return refusingDuplicates(() =>
    change(chat, async (change) => {
      const person = await writePerson(change.db, asked, admission, passwordHash)
      if (invitation) await useInvitation(change.db, invitation, person)
      if (isStaff(person) || person.wanted_role) await note(change.db, caller, person, invitation)
      return finish(change, person)
    }),
  )
}

/**
 * Makes an inbox for somebody who signs a business up, and is nobody yet. As privileged as becoming an admin, and
 * without the waiting: there is no account that an admin could decide about.
 */
export async function registerInbox(
  chat: Chat,
  caller: Caller,
  asked: { workspaceId: string; name: string; kind: string; registrationSecret?: string },
): Promise<Inbox> {
  const workspace = await workspaceById(chat.db, asked.workspaceId)
  const { highest, isBad } = await readProofs(chat, caller, asked)
  const decision = decideRegistration(
    registrationMode(chat, workspace),
    'admin',
    isBad ? 'bad' : highest ? 'valid' : 'none',
  )
  if (decision !== 'allow') throw new Failure('registration_refused')
  return change(chat, ({ db }) =>
    writeInbox(db, { workspaceId: asked.workspaceId, userId: null, address: caller.address }, asked),
  )
}

/** Said before the costly part; the indexes have the last word when two come at once. */
async function refuseTaken(db: Db, { workspaceId, username }: Registration): Promise<void> {
  if (username === undefined) return
  const holder = await db
    .selectFrom('person')
    .select('id')
    .where('workspace_id', '=', workspaceId)
    .where('username', '=', username)
    .executeTakeFirst()
  if (holder) throw new Failure('already_exists', { field: 'username' })
}

/** Whether somebody signs in with this e-mail already. */
export async function isEmailTaken(db: Db, workspaceId: string, email: string): Promise<boolean> {
  const row = await db
    .selectFrom('person')
    .select('id')
    .where('workspace_id', '=', workspaceId)
    .where(sql<boolean>`lower(email) = lower(${email}) and email is not null and password_hash is not null`)
    .executeTakeFirst()
  return row !== undefined
}

type Admission = {
  role: InvitationRow['role']
  wantedRole: PersonRow['wanted_role']
  invitation: InvitationRow | undefined
}

/** Decides before anything costly or lasting is done. The invitation is used up later, with the account. */
async function admit(
  chat: Chat,
  caller: Caller,
  workspace: WorkspaceRow,
  asked: Registration,
): Promise<Admission> {
  const { invitation, highest, isBad } = await readProofs(chat, caller, asked)
  const role = asked.role ?? invitation?.role ?? 'contact'
  const proof: Proof = isBad ? 'bad' : highest ? (hasRank({ role: highest }, role) ? 'valid' : 'bad') : 'none'
  const decision: Decision = decideRegistration(registrationMode(chat, workspace), role, proof)
  if (decision === 'refuse') throw new Failure('registration_refused')
  if (decision === 'pending' && role !== 'contact') {
    return { role: 'contact', wantedRole: role, invitation: undefined }
  }
  return { role, wantedRole: null, invitation }
}

type Proofs = {
  invitation: InvitationRow | undefined
  highest: InvitationRow['role'] | null
  isBad: boolean
}

/** What was brought along. Of an invitation and the secret together, both must be right; the higher one counts. */
async function readProofs(
  chat: Chat,
  caller: Caller,
  asked: Pick<Registration, 'workspaceId' | 'email' | 'invitation' | 'registrationSecret'>,
): Promise<Proofs> {
  const secret = caller.registrationSecret ?? asked.registrationSecret
  const known = chat.config.registrationSecret
  const isSecretRight =
    secret !== undefined && secret !== null && known !== null && isSameSecret(secret, known)
  const invitation =
    asked.invitation === undefined
      ? undefined
      : await findInvitation(chat.db, asked.workspaceId, asked.invitation)
  const isFor = (row: InvitationRow) => row.email === null || isSameEmail(row.email, asked.email)
  return {
    invitation,
    highest: isSecretRight && invitation?.role !== 'owner' ? 'admin' : (invitation?.role ?? null),
    isBad:
      (Boolean(secret) && !isSecretRight) ||
      (asked.invitation !== undefined && (!invitation || !isFor(invitation))),
  }
}

const isSameEmail = (a: string, b: string | undefined) => a.toLowerCase() === b?.toLowerCase()

async function writePerson(
  db: Db,
  asked: Registration,
  { role, wantedRole }: Pick<Admission, 'role' | 'wantedRole'>,
  passwordHash: string,
): Promise<PersonRow> {
  return db
    .insertInto('person')
    .values({
      workspace_id: asked.workspaceId,
      id: randomUUIDv7(),
      role,
      wanted_role: wantedRole,
      name: asked.name,
      email: asked.email ?? null,
      username: asked.username ?? null,
      password_hash: passwordHash,
      verified: true,
      metadata: asked.metadata && metadataText(asked.metadata),
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

async function useInvitation(db: Db, invitation: InvitationRow, person: PersonRow): Promise<void> {
  if (!(await acceptInvitation(db, invitation, person.id))) throw new Failure('registration_refused')
  if (!isStaff(person) || invitation.inbox_ids.length === 0) return
  await db
    .insertInto('inbox_member')
    .values(
      invitation.inbox_ids.map((inboxId) => ({
        workspace_id: person.workspace_id,
        inbox_id: inboxId,
        person_id: person.id,
      })),
    )
    .execute()
}

async function note(
  db: Db,
  { address }: Caller,
  person: PersonRow,
  invitation: InvitationRow | undefined,
): Promise<void> {
  const actor = { workspaceId: person.workspace_id, userId: person.id, address }
  await audit(db, actor, {
    action: 'user.register',
    targetType: 'user',
    targetId: person.id,
    after: { role: person.role, wantedRole: person.wanted_role, invitationId: invitation?.id ?? null },
  })
}
