import { useEffect, useRef } from 'react'

/** What had the focus is gone or hidden, so that the keyboard would begin at the top of the page again. */
export function isFocusLost(): boolean {
  const { activeElement } = document
  return !activeElement || activeElement === document.body || !activeElement.checkVisibility()
}

/**
 * Takes the keyboard along when another part of the desk comes into sight and the one it was in does not stay. Back in
 * the list it is for the list to say where (`conversation-list.tsx`).
 */
export function useFocusOf(page: 'list' | 'thread' | 'details' | 'settings') {
  const before = useRef(page)
  useEffect(() => {
    const from = before.current
    before.current = page
    if (from === page || !isFocusLost()) return
    const place = { list: null, settings: null, thread: '.thread-scroller', details: '.details-pane a' }[page]
    const opener = from === 'details' && page === 'thread' ? '.thread-bar [aria-label="Details"]' : place
    if (opener) document.querySelector<HTMLElement>(opener)?.focus()
  }, [page])
}
