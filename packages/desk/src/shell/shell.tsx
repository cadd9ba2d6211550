import { Link, Outlet, useMatches } from '@tanstack/react-router'
import { useEffect } from 'react'
import { useDesk, useStore } from '../at-desk.tsx'
import { Toasts } from '../toasts.tsx'
import { ConnectionLine } from './connection-line.tsx'
import { useFocusOf } from './focus.ts'
import { Rail } from './rail.tsx'
import './shell.css'

/**
 * The frame around every page. `data-page` is what a small screen shows: one of list, thread, details, settings; larger
 * screens show several side by side (shell.css).
 */
export function Shell() {
  const page = usePage()
  useUnreadTitle()
  useFocusOf(page)
  return (
    <div className="shell" data-page={page}>
      <div className="shell-lines">
        <ConnectionLine />
        {page === 'thread' ? null : <Toasts />}
      </div>
      <Rail />
      <Outlet />
    </div>
  )
}

function usePage(): 'list' | 'thread' | 'details' | 'settings' {
  const last = useMatches({ select: (matches) => matches.at(-1)?.fullPath ?? '/' })
  if (last.startsWith('/settings')) return 'settings'
  if (last.endsWith('/details')) return 'details'
  return last.includes('$conversationId') ? 'thread' : 'list'
}

/** The title of the tab counts what waits, so that it can be seen from another tab. */
function useUnreadTitle() {
  const { parley, workspace } = useDesk()
  const { unread } = useStore(parley.lists({ status: 'active' }))
  useEffect(() => {
    document.title = `${unread > 0 ? `(${unread}) ` : ''}${workspace.name} · Parley`
  }, [unread, workspace.name])
}

/** An address that leads nowhere. */
export function Lost() {
  return (
    <main className="page-message">
      <h1>There is nothing here</h1>
      <p>The address may be old, or mistyped.</p>
      <Link className="button" to="/$view" params={{ view: 'open' }}>
        All open conversations
      </Link>
    </main>
  )
}
