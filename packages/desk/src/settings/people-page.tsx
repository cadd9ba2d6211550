import { Link } from '@tanstack/react-router'
import { useEffect } from 'react'
import { useDesk, useStore } from '../at-desk.tsx'
import { Avatar } from '../avatar.tsx'
import { known } from '../directory.ts'
import { Icon } from '../icons.tsx'
import { InvitationForm } from './invitation.tsx'
import { rank, rolesToInvite } from './rank.ts'
import './settings.css'

/** The team, who of it is here, and how somebody joins. */
export function PeoplePage() {
  const { parley, directory, user } = useDesk()
  const fetched = useStore(directory.team)
  const presence = useStore(parley.presence)
  const team = known(fetched).toSorted((a, b) => rank(b.role) - rank(a.role) || a.name.localeCompare(b.name))
  const ids = team.map((one) => one.id).join(' ')
  useEffect(() => (ids ? parley.presence.watch(ids.split(' ')) : undefined), [parley, ids])
  useEffect(() => void directory.team.reload(), [directory])
  return (
    <main className="pane settings-pane">
      <header className="pane-bar">
        <Link
          className="button icon-only only-phone"
          to="/$view"
          params={{ view: 'open' }}
          aria-label="Back to the list"
        >
          <Icon name="back" />
        </Link>
        <h1>People</h1>
      </header>
      <div className="settings">
        {fetched.phase === 'failed' ? <p className="problem">{fetched.error.message}</p> : null}
        <ul className="card people" aria-label="Team">
          {team.map((one) => (
            <li key={one.id} data-off={one.deactivatedAt ? '' : undefined}>
              <Avatar id={one.id} name={one.name} presence={presence.get(one.id)?.state} />
              <span className="person-name">
                {one.name}
                {one.id === user.id ? ' (you)' : ''}
                <span className="hint">{one.email ?? one.externalId}</span>
              </span>
              <span className="hint">{one.deactivatedAt ? 'switched off' : one.role}</span>
            </li>
          ))}
        </ul>
        {rolesToInvite(user.role).length > 0 ? <InvitationForm /> : null}
      </div>
    </main>
  )
}
