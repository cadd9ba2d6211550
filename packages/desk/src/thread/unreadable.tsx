import type { ConversationStore, ConversationView } from '@parley/client'
import { Link } from '@tanstack/react-router'

/** In place of a conversation that cannot be read: why, and what to do. */
export function Unreadable(props: { store: ConversationStore; shown: ConversationView; view: string }) {
  const { store, shown, view } = props
  return (
    <main className="pane nothing-open thread-pane unreadable">
      <div className="page-message">
        <h2>{whyUnreadable(shown)}</h2>
        {shown.phase === 'failed' ? (
          <button type="button" className="button" onClick={() => void store.reload()}>
            Try again
          </button>
        ) : null}
        <Link className="button" to="/$view" params={{ view }}>
          Back to the list
        </Link>
      </div>
    </main>
  )
}

/** Null when there is something to read. A failure to refresh leaves in sight what is known. */
export function whyUnreadable(shown: ConversationView): string | null {
  const { phase, lostReason, error, conversation } = shown
  if (phase === 'failed' && !conversation) return error?.message ?? 'The conversation could not be loaded'
  if (phase !== 'lost') return null
  if (lostReason === 'deleted') return 'This conversation was deleted'
  return conversation
    ? 'You no longer have access to this conversation'
    : 'There is no such conversation, or it is not yours to see'
}
