import type { ConversationList as ListStore } from '@parley/client'
import { defaultRangeExtractor, useVirtualizer } from '@tanstack/react-virtual'
import { type KeyboardEvent, useEffect, useRef, useState } from 'react'
import { useDesk, useStore } from '../at-desk.tsx'
import { isFocusLost } from '../shell/focus.ts'
import { useShortcuts } from '../shell/shortcuts.ts'
import { useNow } from '../ticking.ts'
import { ConversationRow } from './conversation-row.tsx'
import { faceOf } from './face.ts'

const rowHeight = 76
/** Before the end comes into sight, the next page is asked for. */
const ahead = 15
/** Presence is asked for when scrolling rests, for who is in sight. */
const restMs = 300

/** Only the rows in sight are drawn. One of them is in the tab order; arrows, J and K move along the list. */
export function ConversationList(props: { list: ListStore; view: string; openId: string | null }) {
  const { list, view, openId } = props
  const { rows, hasMore, loadingMore } = useStore(list)
  const now = useNow()
  const scroller = useRef<HTMLDivElement>(null)
  const [chosen, setChosen] = useState<string | null>(openId)
  /** The row that takes the focus as soon as it is drawn. */
  const wanted = useRef<string | null>(null)

  const indexOf = (id: string | null) => rows.findIndex((row) => row.conversation.id === id)
  const current = Math.max(0, indexOf(chosen) >= 0 ? indexOf(chosen) : indexOf(openId))

  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    getItemKey: (index) => rows[index]?.conversation.id ?? index,
    overscan: 6,
    // The row in the tab order is always there, or Tab could not come back to the list.
    rangeExtractor: (range) => [...new Set([...defaultRangeExtractor(range), current])].sort((a, b) => a - b),
  })
  const items = virtual.getVirtualItems()
  const last = items.at(-1)?.index ?? 0
  useEffect(() => {
    if (hasMore && !loadingMore && last >= rows.length - ahead) list.loadMore().catch(() => {})
  }, [list, hasMore, loadingMore, last, rows.length])
  usePresenceOf(items.flatMap((item) => rows[item.index] ?? []).map((row) => faceOf(row).userId))

  function focus(index: number) {
    const row = rows[index]
    if (!row) return
    wanted.current = row.conversation.id
    setChosen(row.conversation.id)
    virtual.scrollToIndex(index)
    requestAnimationFrame(land)
  }
  /** A row far away, or of a list that was hidden, is drawn some renders later. */
  function land() {
    const place = `[data-index="${indexOf(wanted.current)}"] a`
    const row = wanted.current && scroller.current?.querySelector<HTMLElement>(place)
    if (!row) return
    wanted.current = null
    row.focus({ preventScroll: true })
  }
  useEffect(land)
  /** Whoever closes a conversation is back at its row. */
  const wasOpen = useRef(openId)
  useEffect(() => {
    const closed = openId === null ? wasOpen.current : null
    wasOpen.current = openId
    if (closed && isFocusLost()) focus(Math.max(0, indexOf(closed)))
  })
  /** The first press shows where we are; the next ones move. */
  function step(by: number) {
    const isHere = scroller.current?.contains(document.activeElement) ?? false
    focus(isHere || openId ? Math.min(rows.length - 1, Math.max(0, current + by)) : current)
  }
  useShortcuts({ j: () => step(1), k: () => step(-1) })

  function moveByArrows(event: KeyboardEvent) {
    const target = { ArrowDown: current + 1, ArrowUp: current - 1, Home: 0, End: rows.length - 1 }[event.key]
    if (target === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    focus(Math.min(rows.length - 1, Math.max(0, target)))
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: arrows move between the links inside.
    <div className="list-scroller" ref={scroller} onKeyDown={moveByArrows}>
      <ul aria-labelledby="list-title" aria-keyshortcuts="J K" style={{ blockSize: virtual.getTotalSize() }}>
        {items.map((item) => {
          const summary = rows[item.index]
          return summary ? (
            <li
              key={item.key}
              data-index={item.index}
              aria-setsize={hasMore ? -1 : rows.length}
              aria-posinset={item.index + 1}
              style={{ blockSize: item.size, transform: `translateY(${item.start}px)` }}
            >
              <ConversationRow
                summary={summary}
                view={view}
                isOpen={summary.conversation.id === openId}
                inTabOrder={item.index === current}
                now={now}
              />
            </li>
          ) : null
        })}
      </ul>
      {loadingMore ? <p className="list-more">Loading more…</p> : null}
    </div>
  )
}

function usePresenceOf(userIds: readonly (string | null)[]) {
  const { parley } = useDesk()
  const inSight = [...new Set(userIds.filter((id) => id !== null))].sort().join(' ')
  useEffect(() => {
    let stop = () => {}
    const timer = setTimeout(() => {
      stop = parley.presence.watch(inSight ? inSight.split(' ') : [])
    }, restMs)
    return () => {
      clearTimeout(timer)
      stop()
    }
  }, [parley, inSight])
}
