import { Link } from '@tanstack/react-router'
import { useDesk, useStore } from '../at-desk.tsx'
import { known } from '../directory.ts'
import { Icon } from '../icons.tsx'
import { inboxView, type View, views } from '../list/views.ts'
import { AccountMenu } from './account-menu.tsx'
import './rail.css'

/** Where to look, at the side; at the bottom of a phone. */
export function Rail() {
  const { directory, workspace } = useDesk()
  const inboxes = known(useStore(directory.inboxes))
  return (
    <nav className="rail" aria-label="Views">
      <p className="rail-title">
        <img src={`${import.meta.env.BASE_URL}icon.svg`} alt="" width="26" height="26" />
        <span>{workspace.name}</span>
      </p>
      <ul>
        {views.map((view) => (
          <li key={view.id}>
            {view.id === 'mine' || view.id === 'unassigned' ? (
              <CountedView view={view} />
            ) : (
              <ViewLink view={view} />
            )}
          </li>
        ))}
      </ul>
      {inboxes.length > 1 ? (
        <section className="rail-inboxes" aria-labelledby="rail-inboxes">
          <h2 id="rail-inboxes">Inboxes</h2>
          <ul>
            {inboxes.map((inbox) => (
              <li key={inbox.id}>
                <ViewLink view={inboxView(inbox)} color={inbox.color} />
              </li>
            ))}
          </ul>
        </section>
      ) : null}
      <AccountMenu inboxes={inboxes} />
    </nav>
  )
}

/** How many conversations wait there. A list that goes on says so with a plus. */
function CountedView({ view }: { view: View }) {
  const { parley } = useDesk()
  const { rows, hasMore } = useStore(parley.lists(view.query))
  return <ViewLink view={view} count={rows.length > 0 ? `${rows.length}${hasMore ? '+' : ''}` : null} />
}

function ViewLink({ view, count, color }: { view: View; count?: string | null; color?: string }) {
  return (
    <Link className="rail-link" to="/$view" params={{ view: view.id }} title={view.name}>
      {color ? <span className="rail-dot" style={{ background: color }} /> : <Icon name={view.icon} />}
      <span className="rail-name">{view.name}</span>
      {count ? (
        <span className="rail-count">
          {count}
          <span className="unseen"> waiting</span>
        </span>
      ) : null}
    </Link>
  )
}
