import type { ConversationStore, ConversationView } from '@parley/client'
import { Link } from '@tanstack/react-router'
import { Composer } from './composer.tsx'
import { Thread } from './thread.tsx'
import { ThreadHeader } from './thread-header.tsx'
import './thread.css'

type ThreadPaneProps = { store: ConversationStore; shown: ConversationView; view: string }

/** Header, thread and composer; or why there is nothing to read. */
export function ThreadPane({ store, shown, view }: ThreadPaneProps) {
  const problem = problemOf(shown)
  if (problem) {
    return (
      <main className="pane thread-pane">
        <div className="page-message thread-problem">
          <h2>{problem}</h2>
          {shown.phase === 'failed' && shown.error?.code !== 'not_found' ? (
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
  return (
    <main className="pane thread-pane">
      <ThreadHeader shown={shown} view={view} />
      <Thread store={store} shown={shown} />
      <Composer store={store} shown={shown} />
    </main>
  )
}

function problemOf({ phase, lostReason, error, conversation }: ConversationView): string | null {
  if (phase === 'lost') {
    return lostReason === 'deleted'
      ? 'This conversation was deleted'
      : 'You no longer have access to this conversation'
  }
  if (phase !== 'failed' || conversation) return null
  return error?.code === 'not_found'
    ? 'There is no such conversation, or it is not yours to see'
    : (error?.message ?? 'The conversation could not be loaded')
}
