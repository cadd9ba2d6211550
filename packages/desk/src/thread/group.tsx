import type { ConversationStore, ShownMessage } from '@parley/client'
import { memo } from 'react'
import { Avatar } from '../avatar.tsx'
import { clock, moment } from '../time.ts'
import { Bubble } from './bubble.tsx'
import { Delivery } from './delivery.tsx'
import type { NameOf } from './people.ts'
import type { MessageGroup } from './timeline.ts'

type GroupProps = {
  group: MessageGroup
  store: ConversationStore
  /** Every message in sight, for what an answer answers. */
  byId: ReadonlyMap<string, ShownMessage>
  nameOf: NameOf
}

/** What one person said in one go: their face once, then bubble under bubble, then when, and how far it got. */
export const Group = memo(function Group({ group, store, byId, nameOf }: GroupProps) {
  const { messages, senderId, senderName, side, isNote } = group
  const last = messages.at(-1)
  const mine = last?.mine ?? false
  return (
    <section
      className="group"
      data-side={side}
      data-note={isNote || undefined}
      aria-label={isNote ? `Note by ${senderName}` : senderName}
    >
      {mine ? null : <Avatar id={senderId ?? 'nobody'} name={senderName} />}
      <div className="group-body">
        {isNote || (side === 'end' && !mine) ? (
          <p className="group-name">
            {isNote ? `Note · ${senderName} · only the team sees this` : senderName}
          </p>
        ) : null}
        {messages.map((message) => (
          <Bubble
            key={message.key}
            message={message}
            store={store}
            answers={message.replyToId ? (byId.get(message.replyToId) ?? null) : null}
            nameOf={nameOf}
          />
        ))}
        {last ? (
          <p className="group-foot">
            <time dateTime={last.createdAt} title={moment(last.createdAt)}>
              {clock(last.createdAt)}
            </time>
            {mine ? <Delivery message={last} store={store} /> : null}
          </p>
        ) : null}
      </div>
    </section>
  )
})
