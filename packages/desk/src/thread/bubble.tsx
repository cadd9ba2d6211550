import type { ConversationStore, ShownMessage } from '@parley/client'
import { memo } from 'react'
import { useDesk } from '../at-desk.tsx'
import { contentOf } from '../list/last-line.ts'
import { moment } from '../time.ts'
import { Attachments } from './attachments.tsx'
import { Delivery } from './delivery.tsx'
import type { NameOf } from './people.ts'
import { RichText } from './rich-text.tsx'

type BubbleProps = {
  message: ShownMessage
  store: ConversationStore
  answers: ShownMessage | null
  nameOf: NameOf
}

/** One message. */
export const Bubble = memo(function Bubble({ message, store, answers, nameOf }: BubbleProps) {
  const { body, retractedAt, editedAt, attachments, status } = message
  if (retractedAt) {
    return (
      <div className="bubble" data-retracted="" title={moment(retractedAt)}>
        Message retracted
      </div>
    )
  }
  return (
    <>
      <div
        className="bubble"
        data-pending={message.seq === null || undefined}
        data-failed={status === 'failed' || undefined}
      >
        {answers ? (
          <blockquote className="answers">
            <b>{nameOf(answers.senderId)}</b> {contentOf(answers)}
          </blockquote>
        ) : null}
        {attachments.length > 0 ? <Attachments attachments={attachments} /> : null}
        {body ? (
          <p className="bubble-text" dir="auto">
            <RichText text={body} />
          </p>
        ) : null}
        {editedAt ? (
          <small className="edited" title={moment(editedAt)}>
            edited
          </small>
        ) : null}
      </div>
      <Reactions message={message} store={store} nameOf={nameOf} />
      {status === 'failed' ? <Delivery message={message} store={store} isProblem /> : null}
    </>
  )
})

/** Who felt what. Pressing one joins in, or takes mine back. */
function Reactions({ message, store, nameOf }: Pick<BubbleProps, 'message' | 'store' | 'nameOf'>) {
  const { user } = useDesk()
  const { id, reactions } = message
  if (!id || reactions.length === 0) return null
  return (
    <ul className="reactions" aria-label="Reactions">
      {reactions.map(({ emoji, userIds }) => {
        const isMine = userIds.includes(user.id)
        const names = userIds.map(nameOf).join(', ')
        return (
          <li key={emoji}>
            <button
              type="button"
              aria-pressed={isMine}
              title={names}
              aria-label={`${emoji} by ${names}`}
              onClick={() => store.react(id, emoji, !isMine).catch(() => {})}
            >
              {emoji} {userIds.length > 1 ? userIds.length : null}
            </button>
          </li>
        )
      })}
    </ul>
  )
}
