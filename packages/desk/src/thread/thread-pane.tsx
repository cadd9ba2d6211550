import type { ConversationStore, ConversationView } from '@parley/client'
import { Composer } from './composer.tsx'
import { Thread } from './thread.tsx'
import { ThreadHeader } from './thread-header.tsx'
import './thread.css'

type ThreadPaneProps = { store: ConversationStore; shown: ConversationView; view: string }

/** Header, thread and composer. */
export function ThreadPane({ store, shown, view }: ThreadPaneProps) {
  return (
    <main className="pane thread-pane">
      <ThreadHeader shown={shown} view={view} />
      <Thread store={store} shown={shown} />
      <Composer store={store} shown={shown} />
    </main>
  )
}
