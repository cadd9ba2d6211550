import type { Actor } from '../../chat/actor.ts'
import type { Case } from '../../chat/cases.ts'
import { toRole } from './translate.ts'

/**
 * Whether a case is this person's in the sense of this dialect, which is narrower than what the inbox allows: agents see
 * what they were assigned, supervisors what came to a team they lead, candidates their own, admins everything.
 */
export function isTheirs(found: Case, { role, userId }: Pick<Actor, 'role' | 'userId'>): boolean {
  switch (toRole(role)) {
    case 'admin':
      return true
    case 'supervisor':
      return found.supervisorIds.includes(userId)
    case 'agent':
      return found.kind === 'support' ? found.assigneeId === userId : found.agentIds.includes(userId)
    case 'candidate':
      return found.contactIds.includes(userId)
  }
}
