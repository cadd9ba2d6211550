import type { Role } from '@parley/protocol'
import { Failure } from './failure.ts'

/** Whoever acts: a person with a session, a program with a key, or a door on a person's behalf. */
export type Actor = {
  workspaceId: string
  userId: string
  name: string
  role: Role
  /** Absent for API keys, and for people whom a door knows by tokens of its own. */
  sessionId: string | null
  /** The API key, where one stands behind this. */
  keyId?: string
  /** Inboxes this person works in. Owners and admins work in all of them, whatever stands here. */
  inboxIds: readonly string[]
  /** Set for a visitor of a widget, who may write to this inbox and no other. */
  visitorInboxId: string | null
  /** A password, a signed token or a key stands behind this; false for an anonymous visitor. */
  verified: boolean
  /** Network address, for the audit log and limits. */
  address: string | null
}

/** The very session or key that somebody came by, or null where a door let them in by itself. */
export const wayInOf = ({ sessionId, keyId }: Pick<Actor, 'sessionId' | 'keyId'>): string | null =>
  sessionId ?? keyId ?? null

const rank: Record<Role, number> = { owner: 5, admin: 4, supervisor: 3, agent: 2, bot: 1, contact: 0 }

export const isStaff = (actor: Pick<Actor, 'role'>) => rank[actor.role] >= rank.agent
export const isAdmin = (actor: Pick<Actor, 'role'>) => rank[actor.role] >= rank.admin
export const hasRank = (actor: Pick<Actor, 'role'>, role: Role) => rank[actor.role] >= rank[role]

/** Nobody grants their own rank or above; owners may make owners, since the last owner must be replaceable. */
export const mayGrant = (actor: Pick<Actor, 'role'>, role: Role) =>
  actor.role === 'owner' || rank[actor.role] > rank[role]

export function requireRank(actor: Actor, role: Role): void {
  if (!hasRank(actor, role)) throw new Failure('forbidden', { required: role })
}

/** How this person stands in a conversation they take part in. */
export const participantRoleOf = (role: Role): 'contact' | 'agent' | 'bot' =>
  role === 'bot' ? 'bot' : rank[role] >= rank.agent ? 'agent' : 'contact'
