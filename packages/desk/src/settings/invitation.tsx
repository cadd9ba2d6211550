import { ParleyError } from '@parley/client'
import { type FormEvent, useState } from 'react'
import { useDesk, useStore } from '../at-desk.tsx'
import { known } from '../directory.ts'
import { linkOf } from '../welcome/welcome-link.ts'
import { Copied } from './copied.tsx'
import { type InvitableRole, rolesToInvite } from './rank.ts'

/** Makes a link that lets one person join. It is shown once: the server keeps only its hash. */
export function InvitationForm() {
  const { parley, directory, user } = useDesk()
  const inboxes = known(useStore(directory.inboxes))
  const roles = rolesToInvite(user.role)
  const [role, setRole] = useState<InvitableRole>('agent')
  const [left, setLeft] = useState<readonly string[]>([])
  const [link, setLink] = useState<{ url: string; role: InvitableRole } | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)
  // Admins and owners see every inbox; the others work in those chosen here.
  const choosesInboxes = (role === 'agent' || role === 'supervisor') && inboxes.length > 0

  async function invite(event: FormEvent) {
    event.preventDefault()
    if (busy) return
    setBusy(true)
    setProblem(null)
    try {
      const inboxIds = choosesInboxes
        ? inboxes.map((inbox) => inbox.id).filter((id) => !left.includes(id))
        : []
      const { token } = await parley.call('invitation.create', { role, inboxIds })
      setLink({ url: linkOf({ kind: 'invite', token }, location.origin), role })
    } catch (error) {
      setProblem(error instanceof ParleyError ? error.message : 'The invitation could not be made.')
    } finally {
      setBusy(false)
    }
  }

  return (
    <form className="card" onSubmit={invite} aria-labelledby="invite">
      <h2 id="invite">Invite somebody</h2>
      <div className="field">
        <label htmlFor="invite-role">Role</label>
        <div className="field-row">
          <select
            id="invite-role"
            value={role}
            onChange={(event) => setRole(event.target.value as InvitableRole)}
          >
            {roles.map((one) => (
              <option key={one} value={one}>
                {one.slice(0, 1).toUpperCase() + one.slice(1)}
              </option>
            ))}
          </select>
          <button type="submit" className="button primary" disabled={busy}>
            Make a link
          </button>
        </div>
      </div>
      {choosesInboxes ? (
        <fieldset className="field">
          <legend>Works in</legend>
          {inboxes.map((inbox) => (
            <label key={inbox.id} className="choice">
              <input
                type="checkbox"
                checked={!left.includes(inbox.id)}
                onChange={(event) =>
                  setLeft((ids) =>
                    event.target.checked ? ids.filter((id) => id !== inbox.id) : [...ids, inbox.id],
                  )
                }
              />
              {inbox.name}
            </label>
          ))}
        </fieldset>
      ) : null}
      <p className="problem" role="alert">
        {problem}
      </p>
      {link ? (
        <div role="status">
          <p className="hint">
            Send this to your new {link.role}. It works once, for three days at most, and is not shown again.
          </p>
          <Copied text={link.url} label="Invitation link" />
        </div>
      ) : null}
    </form>
  )
}
