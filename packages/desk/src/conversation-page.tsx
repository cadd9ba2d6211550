import { useMatches, useNavigate, useParams } from '@tanstack/react-router'
import { useDesk, useStore } from './at-desk.tsx'
import { DetailsPane } from './details/details-pane.tsx'
import { useShortcuts } from './shell/shortcuts.ts'
import { ThreadPane } from './thread/thread-pane.tsx'
import { Unreadable, whyUnreadable } from './thread/unreadable.tsx'

/** One conversation: what was said, and who is speaking. */
export function ConversationPage() {
  const { view, conversationId } = useParams({ from: '/$view/$conversationId' })
  const onDetails = useMatches({
    select: (matches) => matches.at(-1)?.fullPath.endsWith('/details') ?? false,
  })
  const { parley } = useDesk()
  const store = parley.conversation(conversationId)
  const shown = useStore(store)
  const navigate = useNavigate()
  useShortcuts({
    Escape: () => {
      if (onDetails) void navigate({ to: '/$view/$conversationId', params: { view, conversationId } })
      else void navigate({ to: '/$view', params: { view } })
    },
  })
  if (whyUnreadable(shown)) return <Unreadable store={store} shown={shown} view={view} />
  return (
    <>
      <ThreadPane key={conversationId} store={store} shown={shown} view={view} />
      <DetailsPane shown={shown} view={view} />
    </>
  )
}
