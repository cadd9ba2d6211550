import type { ConversationStore, ConversationView, ShownMessage } from '@parley/client'
import { type RefObject, useEffect, useMemo, useRef, useState } from 'react'
import { useDesk, useStore } from '../at-desk.tsx'
import { known } from '../directory.ts'
import { Icon } from '../icons.tsx'
import { useNow } from '../ticking.ts'
import { clock, moment } from '../time.ts'
import { Group } from './group.tsx'
import { type NameOf, namesOf } from './people.ts'
import { useInSight, useReading } from './reading.ts'
import { type TimelineEntry, timeline, type Waiting } from './timeline.ts'
import { TypingLine } from './typing-line.tsx'

type ThreadProps = {
  store: ConversationStore
  shown: ConversationView
  scroller: RefObject<HTMLDivElement | null>
}

/**
 * What was said. The scroller is laid out from its end (`column-reverse`), so it begins at the newest message, stays
 * there while more arrive, and does not jump when earlier ones are put on top.
 */
export function Thread({ store, shown, scroller }: ThreadProps) {
  const { user, directory } = useDesk()
  const team = known(useStore(directory.team))
  const now = useNow()
  const top = useRef<HTMLDivElement>(null)
  const end = useRef<HTMLDivElement>(null)
  const atEnd = useInSight(end, scroller, '0px 0px 48px 0px')
  const nearTop = useInSight(top, scroller, '600px 0px 0px 0px')
  const waiting = useWaiting(shown, user.id)
  useReading(store, shown, atEnd)

  const { hasEarlier, loadingEarlier } = shown
  useEffect(() => {
    if (nearTop && hasEarlier && !loadingEarlier) store.loadEarlier().catch(() => {})
  }, [store, nearTop, hasEarlier, loadingEarlier])

  // My own message brings me back to the end, wherever I was reading.
  const last = shown.messages.at(-1)
  const mineLast = last?.mine ? last.key : null
  useEffect(() => {
    if (mineLast) scroller.current?.scrollTo({ top: 0 })
  }, [mineLast, scroller])

  const { messages, notices, conversation, participants } = shown
  const nameOf = useMemo(() => namesOf(participants, team, user.id), [participants, team, user.id])
  const entries = useMemo(
    () => timeline({ messages, notices, conversation }, { nameOf, now, waiting }),
    [messages, notices, conversation, nameOf, now, waiting],
  )
  const byId = useMemo(() => new Map(messages.flatMap((one) => (one.id ? [[one.id, one]] : []))), [messages])
  const unseen =
    atEnd || !last || last.mine
      ? 0
      : messages.filter((one) => (one.seq ?? 0) > (shown.receipts[user.id]?.read ?? 0) && !one.mine).length

  return (
    <div className="thread-place">
      <div
        className="thread-scroller"
        ref={scroller}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
        tabIndex={0}
        role="log"
        aria-label="Messages"
        aria-busy={shown.phase === 'loading'}
      >
        <div className="thread">
          <div ref={top} />
          {hasEarlier ? (
            <button
              type="button"
              className="button plain thread-earlier"
              disabled={loadingEarlier}
              onClick={() => store.loadEarlier().catch(() => {})}
            >
              {loadingEarlier ? 'Loading earlier messages…' : 'Earlier messages'}
            </button>
          ) : null}
          {shown.phase === 'loading' && messages.length === 0 ? (
            <p className="thread-loading">Loading…</p>
          ) : null}
          {entries.map((entry) => (
            <Entry key={entry.key} entry={entry} store={store} byId={byId} nameOf={nameOf} />
          ))}
          <TypingLine typing={shown.typing} />
          <div ref={end} />
        </div>
      </div>
      {unseen > 0 ? (
        <button
          type="button"
          className="button thread-newer"
          onClick={() => scroller.current?.scrollTo({ top: 0 })}
        >
          <Icon name="down" /> {unseen} new
        </button>
      ) : null}
    </div>
  )
}

type EntryProps = {
  entry: TimelineEntry
  store: ConversationStore
  byId: ReadonlyMap<string, ShownMessage>
  nameOf: NameOf
}

function Entry({ entry, store, byId, nameOf }: EntryProps) {
  switch (entry.type) {
    case 'day':
      return (
        <h3 className="day">
          <span>{entry.name}</span>
        </h3>
      )
    case 'unread':
      return (
        <p className="unread-line">
          <span>New</span>
        </p>
      )
    case 'notice':
      return (
        <p className="notice">
          {entry.text}{' '}
          <time dateTime={entry.at} title={moment(entry.at)}>
            {clock(entry.at)}
          </time>
        </p>
      )
    case 'group':
      return <Group group={entry.group} store={store} byId={byId} nameOf={nameOf} />
  }
}

/** What was new when this conversation was opened. It does not move while it is open, so the line stays put. */
function useWaiting({ phase, receipts, messages }: ConversationView, me: string): Waiting | null {
  const [waiting, setWaiting] = useState<Waiting | null>(null)
  const last = messages.findLast((message) => message.seq !== null)?.seq ?? 0
  const mine = receipts[me]
  useEffect(() => {
    if (phase === 'ready' && last > 0 && mine) setWaiting((old) => old ?? { readTo: mine.read, last })
  }, [phase, last, mine])
  return waiting
}
