import { useDesk, useStore } from '../at-desk.tsx'
import { ConversationList } from './conversation-list.tsx'
import { FirstSteps, useIsNew } from './first-steps.tsx'
import type { View } from './views.ts'
import './list.css'

/** The list of a view, or why there is none. */
export function ListPane({ view, openId }: { view: View; openId: string | null }) {
  const { parley } = useDesk()
  const list = parley.lists(view.query)
  const { phase, rows, hasMore, error } = useStore(list)
  const isEmpty = phase === 'ready' && rows.length === 0
  return (
    <section className="pane list-pane" aria-labelledby="list-title">
      <header className="pane-bar">
        <h1 id="list-title">{view.name}</h1>
        {rows.length > 0 ? (
          <span className="list-count">
            {rows.length}
            {hasMore ? '+' : ''}
            <span className="unseen"> conversations</span>
          </span>
        ) : null}
      </header>
      {phase === 'failed' ? (
        <div className="list-empty">
          <p>{error?.message ?? 'The list could not be loaded.'}</p>
          <button type="button" className="button" onClick={() => void list.reload()}>
            Try again
          </button>
        </div>
      ) : null}
      {rows.length === 0 && (phase === 'loading' || phase === 'idle') ? <Waiting /> : null}
      {isEmpty ? <Empty view={view} /> : null}
      {rows.length > 0 ? <ConversationList list={list} view={view.id} openId={openId} /> : null}
    </section>
  )
}

/** A view may be empty in a workspace that is not. */
function Empty({ view }: { view: View }) {
  const isNew = useIsNew()
  return (
    <div className="list-empty">
      <p>{view.empty}</p>
      {isNew ? (
        <div className="only-phone">
          <FirstSteps />
        </div>
      ) : null}
    </div>
  )
}

/** Grey rows while the first page is on its way. They appear late, for a quick answer needs none. */
function Waiting() {
  return (
    <div className="list-waiting" role="status">
      <span className="unseen">Loading conversations…</span>
      {['a', 'b', 'c', 'd', 'e'].map((row) => (
        <span key={row} />
      ))}
    </div>
  )
}
