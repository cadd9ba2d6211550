import { newId, type ParleyStorage, type ShownMessage } from '@parley/client'
import type { Attachment } from '@parley/protocol'

/** What is being written in one conversation. It outlives the page. */
export type ComposerDraft = {
  readonly body: string
  readonly isNote: boolean
  readonly attachments: readonly Attachment[]
  /** The message's name from the first letter on, so that sending twice is one message. */
  readonly clientMessageId: string
}

export function emptyDraft(isNote = false): ComposerDraft {
  return { body: '', isNote, attachments: [], clientMessageId: newId() }
}

/**
 * A message that was not taken, back in the composer, above what is being written by now. If one of the two was for the
 * team only, both are: a note must not go out with a reply.
 */
export function takenBack(
  draft: ComposerDraft,
  { body, attachments, visibility }: Pick<ShownMessage, 'body' | 'attachments' | 'visibility'>,
): ComposerDraft {
  const isBlank = draft.body.trim() === '' && draft.attachments.length === 0
  return {
    ...draft,
    body: [body, isBlank ? '' : draft.body].filter((text) => text !== '').join('\n\n'),
    attachments: [...attachments, ...draft.attachments],
    isNote: visibility === 'agents' || (draft.isNote && !isBlank),
  }
}

/** Drafts of one person in this browser. What cannot be read any more is an empty draft. */
export function draftShelf(storage: ParleyStorage, namespace: string, userId: string) {
  const keyOf = (conversationId: string) => `${namespace}:draft:${userId}:${conversationId}`
  return {
    read(conversationId: string): ComposerDraft {
      try {
        const kept = JSON.parse(storage.get(keyOf(conversationId)) ?? '') as Partial<ComposerDraft>
        const { body, isNote, attachments, clientMessageId } = kept
        if (typeof body !== 'string' || !Array.isArray(attachments) || typeof clientMessageId !== 'string') {
          return emptyDraft()
        }
        return { body, isNote: isNote === true, attachments, clientMessageId }
      } catch {
        return emptyDraft()
      }
    },
    keep(conversationId: string, draft: ComposerDraft) {
      if (draft.body || draft.attachments.length > 0 || draft.isNote) {
        storage.set(keyOf(conversationId), JSON.stringify(draft))
      } else {
        storage.remove(keyOf(conversationId))
      }
    },
  }
}
