import type { ConversationStore, ConversationView } from '@parley/client'
import { type RefObject, useEffect, useState, useSyncExternalStore } from 'react'

/**
 * Marks as read what somebody is looking at: the end of the thread is in sight, the page is visible and has the focus.
 * A page in the background, or one scrolled up, has not been read.
 */
export function useReading(store: ConversationStore, shown: ConversationView, atEnd: boolean) {
  const looking = useSyncExternalStore(subscribeToLooking, isLooking)
  const { phase, messages } = shown
  const last = messages.findLast((message) => message.seq !== null)?.seq ?? 0
  useEffect(() => {
    if (looking && atEnd && phase === 'ready' && last > 0) store.markRead(last)
  }, [store, looking, atEnd, phase, last])
}

const isLooking = () => document.visibilityState === 'visible' && document.hasFocus()

function subscribeToLooking(listener: () => void) {
  const ending = new AbortController()
  const { signal } = ending
  window.addEventListener('focus', listener, { signal })
  window.addEventListener('blur', listener, { signal })
  document.addEventListener('visibilitychange', listener, { signal })
  return () => ending.abort()
}

/** Whether an element is within (or, with a margin, near) what its scroller shows. Hidden pages show nothing. */
export function useInSight(
  element: RefObject<HTMLElement | null>,
  scroller: RefObject<HTMLElement | null>,
  margin: string,
): boolean {
  const [inSight, setInSight] = useState(false)
  useEffect(() => {
    const target = element.current
    if (!target) return
    const watch = new IntersectionObserver((seen) => setInSight(seen.at(-1)?.isIntersecting ?? false), {
      root: scroller.current,
      rootMargin: margin,
    })
    watch.observe(target)
    return () => watch.disconnect()
  }, [element, scroller, margin])
  return inSight
}
