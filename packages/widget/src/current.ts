import type { Conversation, ConversationSummary } from '@parley/protocol'

/** Over for now: a message may open it again, or be refused. */
export const isOver = (conversation: Pick<Conversation, 'status'> | null) =>
  conversation?.status === 'closed' || conversation?.status === 'archived'

/**
 * Which conversation the panel shows: the one that lives and moved last, else the last one that did. `rows` is newest
 * activity first; null while not known. `remembered` is the answer of last time, which holds until the rows are here,
 * and `made` one just opened, which may not be among them yet.
 */
export function currentOf(
  rows: readonly ConversationSummary[] | null,
  inboxId: string | null,
  { remembered, made }: { remembered: string | null; made: string | null },
): string | null {
  if (!rows) return made ?? remembered
  const mine = rows.filter(
    ({ conversation: { kind, inboxId: of } }) => kind === 'support' && (!inboxId || of === inboxId),
  )
  if (made && !mine.some(({ conversation }) => conversation.id === made)) return made
  const living = mine.find(({ conversation }) => !isOver(conversation))
  return (living ?? mine[0])?.conversation.id ?? null
}
