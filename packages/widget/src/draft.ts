import type { ParleyStorage } from '@parley/client'

/** Of a window: its own storage, and word of the other tabs. */
export type DraftPage = Pick<Window, 'addEventListener' | 'removeEventListener' | 'sessionStorage'>

/**
 * What stands in the composer, kept over a reload. Each tab keeps its own; the last one written is shared, for new
 * tabs and for those with nothing of their own.
 */
export function draftOf(shared: ParleyStorage, namespace: string, page: DraftPage = window) {
  const key = `${namespace}:draft`
  const kept = read()
  let text = kept ?? shared.get(key) ?? ''
  /** The text as another tab wrote it, until something is typed here. */
  let adopted = kept ? '' : text

  function read(): string | null {
    try {
      return page.sessionStorage.getItem(key)
    } catch {
      return null
    }
  }

  function keep() {
    try {
      if (text) page.sessionStorage.setItem(key, text)
      else page.sessionStorage.removeItem(key)
    } catch {
      // Forbidden or full: the draft lives as long as its page.
    }
  }

  return {
    get: () => text,
    set(next: string) {
      const isShared = shared.get(key) === text
      text = next
      adopted = ''
      keep()
      if (text) shared.set(key, text)
      else if (isShared) shared.remove(key)
    },
    /** Another tab wrote, and nothing of this one's own stands in the way. */
    onChange(listener: () => void): () => void {
      function hear(event: StorageEvent) {
        if (event.key !== key || text !== adopted) return
        text = adopted = event.newValue ?? ''
        listener()
      }
      // Its own storage ends with the tab.
      function leave() {
        if (text && !shared.get(key)) shared.set(key, text)
      }
      page.addEventListener('storage', hear)
      page.addEventListener('pagehide', leave)
      return () => {
        page.removeEventListener('storage', hear)
        page.removeEventListener('pagehide', leave)
      }
    },
  }
}

export type DraftBox = ReturnType<typeof draftOf>
