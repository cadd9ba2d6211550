import { type ConversationView, ParleyError } from '@parley/client'
import { Link } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { useDesk, useStore } from '../at-desk.tsx'
import { Avatar, presenceName } from '../avatar.tsx'
import { known } from '../directory.ts'
import { Icon } from '../icons.tsx'
import { faceOf } from '../list/face.ts'
import { useShortcuts } from '../shell/shortcuts.ts'
import { tell } from '../toasts.tsx'
import { AssignMenu } from './assign-menu.tsx'
import { namesOf } from './people.ts'

/** Who it is, and what can be done with the conversation. */
export function ThreadHeader({ shown, view }: { shown: ConversationView; view: string }) {
  const { user, parley, directory } = useDesk()
  const presence = useStore(parley.presence)
  const team = known(useStore(directory.team))
  const [busy, setBusy] = useState(false)
  const { id: conversationId, conversation, participants } = shown
  const face = conversation ? faceOf({ conversation, participants }, user.id) : null
  const watched = face?.userId ?? null
  useEffect(() => (watched ? parley.presence.watch([watched]) : undefined), [parley, watched])
  const nameOf = namesOf(participants, team, user.id)
  const isOver = conversation?.status === 'closed' || conversation?.status === 'archived'
  const canTake = conversation !== null && !isOver && conversation.assigneeId === null

  async function act(work: () => Promise<unknown>) {
    if (busy) return
    setBusy(true)
    try {
      await work()
    } catch (error) {
      tell(inWords(error, nameOf))
    } finally {
      setBusy(false)
    }
  }
  const take = () => act(() => parley.call('conversation.take', { conversationId }))
  useShortcuts({ t: () => void (canTake && take()) })

  const state = face?.userId ? presence.get(face.userId)?.state : undefined
  const subline = (!isOver && (conversation?.subject || (state && presenceName(state)))) || statusName(shown)
  return (
    <header className="pane-bar thread-bar">
      <Link
        className="button icon-only only-phone"
        to="/$view"
        params={{ view }}
        aria-label="Back to the list"
        title="Back (Esc)"
      >
        <Icon name="back" />
      </Link>
      {face ? <Avatar id={face.id} name={face.name} presence={state} /> : null}
      <div className="thread-who">
        <h2>{face?.name ?? 'Conversation'}</h2>
        <p>{subline}</p>
      </div>
      {conversation ? (
        <div className="thread-actions">
          {canTake ? (
            <button
              type="button"
              className="button primary"
              onClick={take}
              disabled={busy}
              aria-keyshortcuts="T"
              title="Assign to me (T)"
            >
              Take
            </button>
          ) : null}
          {isOver ? null : (
            <AssignMenu
              assigneeId={conversation.assigneeId}
              nameOf={nameOf}
              assign={(userId) => act(() => parley.call('conversation.assign', { conversationId, userId }))}
            />
          )}
          {isOver ? (
            <button
              type="button"
              className="button"
              disabled={busy}
              onClick={() => act(() => parley.call('conversation.reopen', { conversationId }))}
            >
              Reopen
            </button>
          ) : (
            <button
              type="button"
              className="button"
              disabled={busy}
              title="Close the conversation"
              onClick={() => act(() => parley.call('conversation.close', { conversationId }))}
            >
              <Icon name="closed" />
              <span className="roomy">Close</span>
            </button>
          )}
          <Link
            className="button icon-only only-narrow"
            to="/$view/$conversationId/details"
            params={{ view, conversationId }}
            aria-label="Details"
            title="Details"
          >
            <Icon name="details" />
          </Link>
        </div>
      ) : null}
    </header>
  )
}

function statusName({ conversation }: ConversationView): string {
  switch (conversation?.status) {
    case 'closed':
      return 'Closed'
    case 'archived':
      return 'Archived'
    case 'snoozed':
      return 'Snoozed'
    case 'assigned':
    case 'open':
      return 'Open'
    default:
      return 'Loading…'
  }
}

function inWords(error: unknown, nameOf: (userId: string) => string): string {
  if (!(error instanceof ParleyError)) return 'Something went wrong on this page.'
  switch (error.code) {
    case 'already_taken': {
      const { assigneeId } = error.details
      return `${typeof assigneeId === 'string' ? nameOf(assigneeId) : 'Somebody else'} took this conversation first.`
    }
    case 'not_found':
      return 'That person cannot work in this inbox, or the conversation is gone.'
    case 'conversation_exists':
      return 'These two have a newer conversation that is open; it takes the place of this one.'
    case 'network':
    case 'timeout':
    case 'disconnected':
      return 'The server did not answer. Try again in a moment.'
    default:
      return error.message
  }
}
