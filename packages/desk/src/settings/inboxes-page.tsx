import { ParleyError } from '@parley/client'
import { Link } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import { useDesk, useStore } from '../at-desk.tsx'
import { known } from '../directory.ts'
import { Icon } from '../icons.tsx'
import { rank } from './rank.ts'
import { Snippet } from './snippet.tsx'
import './settings.css'

/** Inboxes and how each gets onto a page. */
export function InboxesPage() {
  const { directory, user } = useDesk()
  const fetched = useStore(directory.inboxes)
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
        <h1>Inboxes</h1>
      </header>
      <div className="settings">
        <p className="hint">
          Conversations arrive in an inbox. Paste its embed code before <code>&lt;/body&gt;</code> on every
          page where people should be able to write.
        </p>
        {fetched.phase === 'failed' ? <p className="problem">{fetched.error.message}</p> : null}
        <ul className="cards">
          {known(fetched).map((inbox) => (
            <li key={inbox.id} className="card">
              <h2>
                <span className="rail-dot" style={{ background: inbox.color }} />
                {inbox.name}
              </h2>
              <p className="hint">
                {inbox.origins.length > 0 ? `On ${inbox.origins.join(', ')}` : 'On any site'}
                {inbox.identityRequired ? ' · signed identity required' : ''}
              </p>
              <h3>Embed code</h3>
              <Snippet inbox={inbox} />
            </li>
          ))}
        </ul>
        {rank(user.role) >= rank('admin') ? <NewInbox /> : null}
      </div>
    </main>
  )
}

function NewInbox() {
  const { parley, directory } = useDesk()
  const [name, setName] = useState('')
  const [problem, setProblem] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)

  async function create(event: FormEvent) {
    event.preventDefault()
    if (busy || !name.trim()) return
    setBusy(true)
    setProblem(null)
    try {
      await parley.call('inbox.create', { name: name.trim() })
      setName('')
      await directory.inboxes.reload()
    } catch (error) {
      setProblem(error instanceof ParleyError ? error.message : 'The inbox could not be made.')
    } finally {
      setBusy(false)
    }
  }

  return (
    <form className="card" onSubmit={create} aria-labelledby="new-inbox">
      <h2 id="new-inbox">New inbox</h2>
      <div className="field">
        <label htmlFor="inbox-name">Name</label>
        <div className="field-row">
          <input
            id="inbox-name"
            value={name}
            onChange={(event) => setName(event.target.value)}
            maxLength={200}
            required
          />
          <button type="submit" className="button primary" disabled={busy}>
            Create inbox
          </button>
        </div>
      </div>
      <p className="problem" role="alert">
        {problem}
      </p>
    </form>
  )
}
