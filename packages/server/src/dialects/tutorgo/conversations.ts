import { Failure } from '../../chat/failure.ts'
import type { Direct } from './directory.ts'
import type { Guest } from './entrance.ts'
import { othersIn } from './pair-ids.ts'
import { notAMember } from './refusals.ts'
import type { TutorGo } from './tutorgo.ts'

/** Whom an id names beside the guest, as far as known. Being named in it is what makes somebody a member. */
export type Named = { otherId: string; otherUserId: string | null }

/** Reads an id as its member does; refuses everybody else. Of two readings the one with somebody known is meant. */
export async function readPair({ directory }: TutorGo, { id: me }: Guest, id: string): Promise<Named> {
  const others = othersIn(id, me)
  const [first] = others
  if (first === undefined) throw notAMember()
  const found = await directory.find(others)
  const otherId = others.find((other) => found.has(other)) ?? first
  return { otherId, otherUserId: found.get(otherId) ?? null }
}

/** The conversation that an id stands for; null for one in which nobody has written yet. */
export async function findConversation(tutorgo: TutorGo, guest: Guest, id: string): Promise<Direct | null> {
  const { otherUserId } = await readPair(tutorgo, guest, id)
  return otherUserId === null ? null : tutorgo.directory.directOf(guest.actor, otherUserId)
}

/** Does something in a conversation, or `otherwise` where there is none (any more). */
export async function inConversation<T>(
  tutorgo: TutorGo,
  guest: Guest,
  id: string,
  work: (conversationId: string) => Promise<T>,
  otherwise: T,
): Promise<T> {
  const { otherUserId } = await readPair(tutorgo, guest, id)
  const direct = otherUserId && (await tutorgo.directory.directOf(guest.actor, otherUserId))
  if (!otherUserId || !direct) return otherwise
  try {
    return await work(direct.id)
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'not_found') throw error
    tutorgo.directory.forgetDirect(guest.actor, otherUserId)
    return otherwise
  }
}
