import type { ConversationStore, ConversationView } from '@parley/client'
import { useRef } from 'react'
import { Toasts } from '../toasts.tsx'
import { Composer } from './composer.tsx'
import { TakeBack, useDraft } from './drafting.ts'
import { Thread } from './thread.tsx'
import { ThreadHeader } from './thread-header.tsx'
import './thread.css'

type ThreadPaneProps = { store: ConversationStore; shown: ConversationView; view: string }

/** Header, thread and composer. */
export function ThreadPane({ store, shown, view }: ThreadPaneProps) {
  const drafting = useDraft(store.id)
  const log = useRef<HTMLDivElement>(null)
  return (
    <main className="pane thread-pane">
      <ThreadHeader shown={shown} view={view} />
      <Toasts />
      <TakeBack value={drafting.takeBack}>
        <Thread store={store} shown={shown} scroller={log} />
      </TakeBack>
      <Composer store={store} shown={shown} drafting={drafting} onLeave={() => log.current?.focus()} />
    </main>
  )
}
