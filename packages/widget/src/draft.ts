import type { ParleyStorage } from '@parley/client'

/** What stands in the composer, kept over a reload and shown in other tabs. */
export function draftOf(storage: ParleyStorage, namespace: string) {
  const key = `${namespace}:draft`
  return {
    get: () => storage.get(key) ?? '',
    set(text: string) {
      if (text) storage.set(key, text)
      else storage.remove(key)
    },
    /** Another tab wrote. */
    onChange(listener: () => void): () => void {
      const hear = (event: StorageEvent) => event.key === key && listener()
      window.addEventListener('storage', hear)
      return () => window.removeEventListener('storage', hear)
    },
  }
}

export type DraftBox = ReturnType<typeof draftOf>
