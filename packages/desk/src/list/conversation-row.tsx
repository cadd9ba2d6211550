import type { ConversationSummary } from '@parley/protocol'
import { Link } from '@tanstack/react-router'
import { memo } from 'react'
import { useDesk, useStore } from '../at-desk.tsx'
import { Avatar } from '../avatar.tsx'
import { known } from '../directory.ts'
import { age, moment } from '../time.ts'
import { faceOf } from './face.ts'
import { lastLine } from './last-line.ts'

type RowProps = {
  summary: ConversationSummary
  view: string
  isOpen: boolean
  inTabOrder: boolean
  now: number
}

/** One conversation in a list. The whole row is one link, so everything a link can do works. */
export const ConversationRow = memo(function ConversationRow(props: RowProps) {
  const { summary, view, isOpen, inTabOrder, now } = props
  const { user, parley } = useDesk()
  const presence = useStore(parley.presence)
  const { conversation, lastMessage, unread } = summary
  const face = faceOf(summary, user.id)
  const isNote = lastMessage?.visibility === 'agents'
  return (
    <Link
      className="row"
      to="/$view/$conversationId"
      params={{ view, conversationId: conversation.id }}
      tabIndex={inTabOrder ? 0 : -1}
      aria-current={isOpen ? 'true' : undefined}
      data-unread={unread > 0 || undefined}
    >
      <Avatar
        id={face.id}
        name={face.name}
        presence={face.userId ? presence.get(face.userId)?.state : undefined}
      />
      <span className="row-name">{face.name}</span>
      <time dateTime={conversation.updatedAt} title={moment(conversation.updatedAt)}>
        {age(conversation.updatedAt, now)}
      </time>
      <span
        className="row-line"
        data-note={isNote || undefined}
        data-faint={lastMessage?.retractedAt ? '' : undefined}
      >
        {lastLine(summary, user.id)}
      </span>
      {unread > 0 ? (
        <span className="badge">
          {unread > 99 ? '99+' : unread}
          <span className="unseen"> unread</span>
        </span>
      ) : (
        <Standing summary={summary} />
      )}
    </Link>
  )
})

/** Who has it, or what has become of it. */
function Standing({ summary: { conversation, participants } }: { summary: ConversationSummary }) {
  const { user, directory } = useDesk()
  const team = known(useStore(directory.team))
  const { status, assigneeId } = conversation
  if (status === 'closed' || status === 'archived' || status === 'snoozed') {
    return (
      <span className="row-standing">
        {{ closed: 'Closed', archived: 'Archived', snoozed: 'Snoozed' }[status]}
      </span>
    )
  }
  if (!assigneeId) return <span className="row-standing unassigned">Unassigned</span>
  if (assigneeId === user.id) return <span className="row-standing">You</span>
  const name =
    team.find((one) => one.id === assigneeId)?.name ??
    participants.find((one) => one.userId === assigneeId)?.name ??
    'A colleague'
  return (
    <span className="row-standing" title={`Assigned to ${name}`}>
      <span className="unseen">Assigned to {name}</span>
      <Avatar id={assigneeId} name={name} size="small" />
    </span>
  )
}
