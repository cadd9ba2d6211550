import type { ConversationStore, MessageStatus, ShownMessage } from '@parley/client'
import { Icon, type IconName } from '../icons.tsx'

const states: Record<Exclude<MessageStatus, 'failed'>, { icon: IconName; name: string }> = {
  queued: { icon: 'wait', name: 'Queued' },
  sending: { icon: 'wait', name: 'Sending' },
  sent: { icon: 'check', name: 'Sent' },
  delivered: { icon: 'checks', name: 'Delivered' },
  read: { icon: 'checks', name: 'Read' },
}

type DeliveryProps = {
  message: ShownMessage
  store: ConversationStore
  /** Drawn right under a message that failed; the foot of its group then says nothing more. */
  isProblem?: boolean
}

/** How far my message has got. One that failed says why, and can be sent again or dropped. */
export function Delivery({ message, store, isProblem = false }: DeliveryProps) {
  const { status, error, clientMessageId } = message
  if (status === 'failed') {
    if (!isProblem) return null
    return (
      <p className="failed" role="alert">
        <Icon name="alert" />
        <span>Not sent. {error?.message}</span>
        <button type="button" onClick={() => clientMessageId && store.retry(clientMessageId)}>
          Retry
        </button>
        <button type="button" onClick={() => clientMessageId && store.discard(clientMessageId)}>
          Discard
        </button>
      </p>
    )
  }
  if (message.visibility === 'agents' && message.seq !== null) return null
  const { icon, name } = states[status]
  return (
    <span className="delivery" data-status={status}>
      <Icon name={icon} />
      {name}
    </span>
  )
}
