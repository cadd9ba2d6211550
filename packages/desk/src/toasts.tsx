import type { Store } from '@parley/client'
import { useStore } from './at-desk.tsx'
import { Icon } from './icons.tsx'
import './toasts.css'

/** Something worth a sentence that belongs to no place on the page. It goes by itself, or when dismissed. */
export type Toast = { readonly id: number; readonly text: string }

const showMs = 8_000
let shown: readonly Toast[] = []
let lastId = 0
const listeners = new Set<() => void>()

export function tell(text: string): void {
  const id = ++lastId
  set([...shown.filter((one) => one.text !== text), { id, text }])
  setTimeout(() => dismiss(id), showMs)
}

/** In the flow of the page, where it covers nothing: below the head of an open thread, else on top (shell.tsx). */
export function Toasts() {
  const toasts = useStore(store)
  return (
    <div className="toasts" role="status" aria-live="polite">
      {toasts.map((toast) => (
        <p key={toast.id}>
          {toast.text}
          <button type="button" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
            <Icon name="close" />
          </button>
        </p>
      ))}
    </div>
  )
}

const store: Store<readonly Toast[]> = {
  get: () => shown,
  subscribe(listener) {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
}

function dismiss(id: number) {
  set(shown.filter((one) => one.id !== id))
}

function set(next: readonly Toast[]) {
  shown = next
  for (const listener of [...listeners]) listener()
}
