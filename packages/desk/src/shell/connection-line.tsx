import type { ConnectionState } from '@parley/client'
import { useEffect } from 'react'
import { session } from '../account.ts'
import { useDesk, useStore } from '../at-desk.tsx'
import './connection-line.css'

/** Says so while the desk is not live. It appears after a moment, so that a short hiccup is not news. */
export function ConnectionLine() {
  const { parley } = useDesk()
  const connection = useStore(parley.state)
  const ended = connection.state === 'stopped' && endsSession.has(connection.reason)
  useEffect(() => {
    if (ended) void session.logout()
  }, [ended])
  const words = inWords(connection)
  return (
    <div className="connection-line" role="status">
      {words ? (
        <p>
          {words}
          {connection.state === 'waiting' ? (
            <button type="button" onClick={() => parley.reconnect()}>
              Try now
            </button>
          ) : null}
          {connection.state === 'stopped' ? (
            <button type="button" onClick={() => location.reload()}>
              Reload
            </button>
          ) : null}
        </p>
      ) : null}
    </div>
  )
}

/** After these the tokens are worth nothing; the way in is all that is left. */
const endsSession = new Set<string>(['revoked', 'unauthenticated'])

function inWords(connection: ConnectionState): string | null {
  switch (connection.state) {
    case 'connecting':
      return connection.attempt > 1 ? 'Reconnecting…' : 'Connecting…'
    case 'waiting':
      return navigator.onLine
        ? 'Reconnecting… What you write is kept and sent.'
        : 'You are offline. What you write is kept and sent.'
    case 'stopped':
      return connection.reason === 'closed' ? null : 'This page cannot talk to the server any more.'
    default:
      return null
  }
}
