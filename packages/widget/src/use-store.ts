import { useEffect, useState } from 'preact/hooks'

/** Draws again whenever the store changes. */
export function useStore<T>(store: { get(): T; subscribe(listener: () => void): () => void }): T {
  const [value, setValue] = useState(store.get)
  useEffect(() => {
    const take = () => setValue(() => store.get())
    take()
    return store.subscribe(take)
  }, [store])
  return value
}
