import type { RegistrationMode, Role } from '@parley/protocol'

/** `pending`: an account of the lowest role now; an admin decides about the role that was asked for. */
export type Decision = 'allow' | 'pending' | 'refuse'

/** What somebody brought to be let in: an invitation or the registration secret, good for the role they ask, or not. */
export type Proof = 'none' | 'valid' | 'bad'

type Row = Record<'lowest' | 'privileged', Record<'none' | 'valid', Decision>>

/** Who may become what (promises §5). The one place where it is decided, for every door. */
const decisions: Record<RegistrationMode, Row> = {
  customer_only: {
    lowest: { none: 'allow', valid: 'allow' },
    privileged: { none: 'refuse', valid: 'allow' },
  },
  invite: {
    lowest: { none: 'refuse', valid: 'allow' },
    privileged: { none: 'refuse', valid: 'allow' },
  },
  pending: {
    lowest: { none: 'allow', valid: 'allow' },
    privileged: { none: 'pending', valid: 'allow' },
  },
  closed: {
    lowest: { none: 'refuse', valid: 'refuse' },
    privileged: { none: 'refuse', valid: 'refuse' },
  },
  open_demo: {
    lowest: { none: 'allow', valid: 'allow' },
    privileged: { none: 'allow', valid: 'allow' },
  },
}

/** Refuses, never silently lowers; a bad proof is refused in every mode, even where none was needed. */
export function decideRegistration(mode: RegistrationMode, role: Role, proof: Proof): Decision {
  if (proof === 'bad') return 'refuse'
  return decisions[mode][role === 'contact' ? 'lowest' : 'privileged'][proof]
}
