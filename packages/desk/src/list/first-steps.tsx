import { Link } from '@tanstack/react-router'
import { useDesk, useStore } from '../at-desk.tsx'
import { known } from '../directory.ts'
import { Snippet } from '../settings/snippet.tsx'

/** Whether nobody has written to this workspace yet. */
export function useIsNew(): boolean {
  const { parley } = useDesk()
  const active = useStore(parley.lists({ status: 'active' }))
  const closed = useStore(parley.lists({ status: 'closed' }))
  return active.phase === 'ready' && closed.phase === 'ready' && active.rows.length + closed.rows.length === 0
}

/** A desk without a conversation: how to get the first one, in two steps. */
export function FirstSteps() {
  const { directory } = useDesk()
  const inboxes = useStore(directory.inboxes)
  const [inbox] = known(inboxes)
  return (
    <section className="first-steps" aria-labelledby="first-steps">
      <h2 id="first-steps">Your first conversation</h2>
      <ol>
        <li>
          <h3>Write to yourself</h3>
          <p>Open the demo page beside this one, and send a message as a visitor. It appears here at once.</p>
          <a className="button primary" href="/" target="_blank" rel="noopener">
            Open the demo page
          </a>
        </li>
        <li>
          <h3>Put it on your site</h3>
          {inbox ? (
            <>
              <p>
                Paste this before <code>&lt;/body&gt;</code> on every page. Visitors reach the inbox “
                {inbox.name}”.
              </p>
              <Snippet inbox={inbox} />
              <p className="hint">
                You find it again in your menu, under{' '}
                <Link to="/settings/inboxes">Inboxes and embed code</Link>.
              </p>
            </>
          ) : (
            <p>
              {inboxes.phase === 'ready'
                ? 'There is no inbox that you work in yet. Ask an admin to add you to one.'
                : 'Looking for your inbox…'}
            </p>
          )}
        </li>
      </ol>
    </section>
  )
}
