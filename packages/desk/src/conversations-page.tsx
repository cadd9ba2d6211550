import { Outlet, useMatch, useParams } from '@tanstack/react-router'
import { useDesk, useStore } from './at-desk.tsx'
import { known } from './directory.ts'
import { ListPane } from './list/list-pane.tsx'
import { NothingOpen } from './list/nothing-open.tsx'
import { viewOf } from './list/views.ts'
import { Lost } from './shell/shell.tsx'

/** A view: its list, and beside it the conversation of the address, or a word on what to do. */
export function ConversationsPage() {
  const { view: id } = useParams({ from: '/$view' })
  const open = useMatch({ from: '/$view/$conversationId', shouldThrow: false })
  const { directory } = useDesk()
  const view = viewOf(id, known(useStore(directory.inboxes)))
  if (!view) return <Lost />
  return (
    <>
      <ListPane key={view.id} view={view} openId={open?.params.conversationId ?? null} />
      {open ? <Outlet /> : <NothingOpen />}
    </>
  )
}
