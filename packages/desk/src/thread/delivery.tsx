import type { ConversationStore, MessageStatus, ShownMessage } from '@parley/client'
import { mayPassLater } from '@parley/protocol/errors'
import { useContext } from 'react'
import { Icon, type IconName } from '../icons.tsx'
import { TakeBack } from './drafting.ts'

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

/** How far my message has got. */
export function Delivery({ message, store, isProblem = false }: DeliveryProps) {
  const { status } = message
  if (status === 'failed') return isProblem ? <Failed message={message} store={store} /> : null
  if (message.visibility === 'agents' && message.seq !== null) return null
  const { icon, name } = states[status]
  return (
    <span className="delivery" data-status={status}>
      <Icon name={icon} />
      {name}
    </span>
  )
}

/** Why it was not sent, and what helps: sending it again, or changing it. */
function Failed({ message, store }: Pick<DeliveryProps, 'message' | 'store'>) {
  const takeBack = useContext(TakeBack)
  const { key, error } = message
  return (
    <p className="failed" role="alert">
      <Icon name="alert" />
      <span>Not sent. {error?.message}</span>
      {error && !mayPassLater(error) ? (
        <button
          type="button"
          onClick={() => {
            takeBack(message)
            store.discard(key)
          }}
        >
          Edit
        </button>
      ) : (
        <button type="button" onClick={() => store.retry(key)}>
          Try again
        </button>
      )}
      <button type="button" onClick={() => store.discard(key)}>
        Discard
      </button>
    </p>
  )
}
