import type { Participant, User } from '@parley/protocol'

/** Says who somebody is, from the people of the conversation and the team. I am “You”. */
export type NameOf = (userId: string | null) => string

export function namesOf(
  participants: readonly Pick<Participant, 'userId' | 'name'>[],
  team: readonly Pick<User, 'id' | 'name'>[],
  me: string,
): NameOf {
  const names = new Map([
    ...team.map((one) => [one.id, one.name] as const),
    ...participants.map((one) => [one.userId, one.name] as const),
  ])
  return (userId) => (userId === me ? 'You' : ((userId && names.get(userId)) ?? 'Somebody'))
}
