import type { ShownMessage } from '@parley/client'
import { createContext, useRef, useState } from 'react'
import { namespace, storage } from '../account.ts'
import { useDesk } from '../at-desk.tsx'
import { type ComposerDraft, draftShelf, takenBack } from './draft.ts'

/** What stands in the composer of a conversation, kept at every change. */
export type Drafting = ReturnType<typeof useDraft>

export function useDraft(conversationId: string) {
  const { user } = useDesk()
  const shelf = draftShelf(storage, namespace, user.id)
  const [draft, setDraft] = useState(() => shelf.read(conversationId))
  const field = useRef<HTMLTextAreaElement>(null)

  /** An upload ends later than what was typed meanwhile, so changes are made to the draft of that moment. */
  function change(next: (old: ComposerDraft) => ComposerDraft) {
    setDraft((old) => {
      const draft = next(old)
      shelf.keep(conversationId, draft)
      return draft
    })
  }

  function takeBack(message: ShownMessage) {
    change((old) => takenBack(old, message))
    field.current?.focus()
  }

  return { draft, change, takeBack, field }
}

/** For a message in the thread: its way back into the composer. */
export const TakeBack = createContext<(message: ShownMessage) => void>(() => {})
