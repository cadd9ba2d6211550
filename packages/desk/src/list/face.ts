import type { ConversationSummary, Participant } from '@parley/protocol'

/** What a conversation is called and looks like. `userId` is whose presence counts; null for a group. */
export type Face = { readonly id: string; readonly userId: string | null; readonly name: string }

/**
 * A support conversation has its contact's face, one between two people the other's, a group its subject. Without me
 * (`me` is null) the first person of the team stands for it.
 */
export function faceOf(
  {
    conversation,
    participants,
  }: Pick<ConversationSummary, 'conversation'> & {
    participants: readonly Participant[]
  },
  me: string | null = null,
): Face {
  const others = participants.filter((one) => one.userId !== me)
  const contact = others.find((one) => one.role === 'contact')
  if (conversation.kind === 'group') {
    const name = conversation.subject || others.map((one) => one.name).join(', ') || 'Group'
    return { id: conversation.id, userId: null, name }
  }
  const person = contact ?? others[0]
  if (!person) return { id: conversation.id, userId: null, name: conversation.subject || 'Nobody here' }
  return { id: person.userId, userId: person.userId, name: person.name }
}
