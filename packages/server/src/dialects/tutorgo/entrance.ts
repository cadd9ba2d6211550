import type { Actor } from '../../chat/actor.ts'
import { Failure } from '../../chat/failure.ts'
import { identify, identifyAgain } from '../../chat/identities.ts'
import type { TutorGo } from './tutorgo.ts'

/** Somebody who came with a token, and the id that it names them by. */
export type Guest = { id: string; actor: Actor }

/**
 * Here everybody is one of two people who talk, whatever role a token names: nobody reads other people's conversations
 * through this door, and who writes is no agent.
 */
const asPerson = (actor: Actor): Actor => ({ ...actor, role: 'contact', inboxIds: [] })

export async function enter(
  { chat, workspaceId, directory }: TutorGo,
  token: string,
  address: string | null,
): Promise<Guest> {
  const actor = await identify(chat, workspaceId, token, { address })
  const id = (await directory.idsOf([actor.userId])).get(actor.userId)
  if (id === undefined) throw new Failure('unauthenticated')
  return { id, actor: asPerson(actor) }
}

/** Who that is now; throws when they were switched off. */
export async function enterAgain({ chat }: TutorGo, { actor }: Guest): Promise<Actor> {
  return asPerson(await identifyAgain(chat, actor))
}

/** The second word of the header, whatever the first is. */
export function bearerOf(header: string | undefined): string | null {
  const [, token] = (header ?? '').trim().split(/\s+/)
  return token ?? null
}
