import type { Role } from '@parley/protocol'

const roles: readonly Role[] = ['contact', 'bot', 'agent', 'supervisor', 'admin', 'owner']

/** Higher may do more. */
export function rank(role: Role): number {
  return roles.indexOf(role)
}

const invitable = ['agent', 'supervisor', 'admin', 'owner'] as const
export type InvitableRole = (typeof invitable)[number]

/** Whom somebody may invite to the team: roles below their own; owners make owners too. */
export function rolesToInvite(role: Role): readonly InvitableRole[] {
  return invitable.filter((one) => role === 'owner' || rank(one) < rank(role))
}
