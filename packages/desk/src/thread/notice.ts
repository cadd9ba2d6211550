import type { LogEvent } from '@parley/protocol'
import type { NameOf } from './people.ts'

/** An entry of the log that is not a message, as a sentence; null for one that nobody needs to read. */
export function noticeText(event: LogEvent, nameOf: NameOf): string | null {
  const actor = nameOf(event.actorId)
  switch (event.type) {
    case 'conversation.created':
      return `${actor} started the conversation`
    case 'conversation.updated':
      return changeText(event.changes, event.actorId, nameOf)
    case 'participant.joined':
      return joinText(event, nameOf)
    case 'participant.left':
      return event.actorId && event.actorId !== event.userId
        ? `${actor} removed ${inside(nameOf(event.userId))}`
        : `${nameOf(event.userId)} left`
    default:
      return null
  }
}

function joinText(event: LogEvent & { type: 'participant.joined' }, nameOf: NameOf): string {
  const { userId, name } = event.participant
  const who = nameOf(userId) === 'You' ? 'You' : name
  return event.actorId && event.actorId !== userId
    ? `${nameOf(event.actorId)} added ${inside(who)}`
    : `${who} joined`
}

type Changes = (LogEvent & { type: 'conversation.updated' })['changes']

/** What changed most. A status that follows from an assignment is not told beside it. */
function changeText(changes: Changes, actorId: string | null, nameOf: NameOf): string | null {
  const actor = nameOf(actorId)
  const { status, assigneeId, subject, topic, priority } = changes
  if (status === 'closed') return `${actor} closed the conversation`
  if (status === 'archived') return `${actor} archived the conversation`
  if (status === 'snoozed') return `${actor} snoozed the conversation`
  if (assigneeId) {
    return assigneeId === actorId
      ? `${actor} took the conversation`
      : `${actor} assigned it to ${inside(nameOf(assigneeId))}`
  }
  if (assigneeId === null) return `${actor} put it back to the inbox`
  if (status === 'open' || status === 'assigned') return `${actor} reopened the conversation`
  if (subject !== undefined)
    return subject ? `${actor} set the subject to “${subject}”` : `${actor} removed the subject`
  if (topic !== undefined) return `${actor} set the topic to ${topic}`
  if (priority !== undefined) return `${actor} set the priority to ${priority}`
  return null
}

/** “You” begins a sentence; within one it is “you”. */
const inside = (name: string) => (name === 'You' ? 'you' : name)
