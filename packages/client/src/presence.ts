import type { Presence } from '@parley/protocol'
import type { PresenceStore } from './api.ts'
import { Cell } from './store.ts'

/** One watch for everybody who is drawn somewhere. The server takes the whole list at once and answers with a snapshot. */
export function presenceStore(tell: (userIds: string[]) => Promise<unknown>) {
  const state = new Cell<ReadonlyMap<string, Presence>>(new Map())
  const counts = new Map<string, number>()
  let asked = false

  function ask() {
    if (asked) return
    asked = true
    queueMicrotask(() => {
      asked = false
      tell([...counts.keys()].slice(0, 500)).then(told, () => {})
    })
  }

  function told(answer: unknown) {
    const { presence } = answer as { presence: Presence[] }
    state.set(new Map([...state.get(), ...presence.map((one) => [one.userId, one] as const)]))
  }

  const store: PresenceStore = {
    get: state.get,
    subscribe: state.subscribe,
    watch(userIds) {
      for (const id of userIds) counts.set(id, (counts.get(id) ?? 0) + 1)
      ask()
      let watching = true
      return () => {
        if (!watching) return
        watching = false
        for (const id of userIds) {
          const count = (counts.get(id) ?? 0) - 1
          if (count > 0) counts.set(id, count)
          else counts.delete(id)
        }
        ask()
      }
    },
  }
  return {
    store,
    changed: (presence: Presence) => told({ presence: [presence] }),
    /** A new connection watches nobody yet. */
    welcomed: () => void (counts.size && ask()),
    /** Away, nothing is known of anybody: better nothing than a lie. */
    lost: () => state.set(new Map()),
  }
}
