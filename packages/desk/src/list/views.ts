import type { ListQuery } from '@parley/client'
import type { Inbox } from '@parley/protocol'
import type { IconName } from '../icons.tsx'

/** A way to look at the conversations: one of four, or everything open in one inbox. */
export type View = {
  readonly id: string
  readonly name: string
  readonly icon: IconName
  readonly query: ListQuery
  /** What an empty list says. */
  readonly empty: string
}

export const views: readonly View[] = [
  {
    id: 'mine',
    name: 'Mine',
    icon: 'mine',
    query: { view: 'mine', status: 'active' },
    empty: 'Nothing is assigned to you. Unassigned conversations are waiting under “Unassigned”.',
  },
  {
    id: 'unassigned',
    name: 'Unassigned',
    icon: 'unassigned',
    query: { view: 'unassigned', status: 'active' },
    empty: 'Everybody who wrote has somebody to answer them.',
  },
  {
    id: 'open',
    name: 'All open',
    icon: 'open',
    query: { status: 'active' },
    empty: 'No conversation is open.',
  },
  {
    id: 'closed',
    name: 'Closed',
    icon: 'closed',
    query: { status: 'closed' },
    empty: 'Closed conversations come here. They can be opened again.',
  },
]

const inboxId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The view of an address; null when there is none of that name. An inbox need not be known yet to be looked at. */
export function viewOf(id: string, inboxes: readonly Inbox[]): View | null {
  const view = views.find((one) => one.id === id)
  if (view || !inboxId.test(id)) return view ?? null
  return inboxView({ id, name: inboxes.find((inbox) => inbox.id === id)?.name ?? 'Inbox' })
}

export function inboxView({ id, name }: Pick<Inbox, 'id' | 'name'>): View {
  return {
    id,
    name,
    icon: 'inbox',
    query: { inboxId: id, status: 'active' },
    empty: 'No conversation is open in this inbox.',
  }
}
