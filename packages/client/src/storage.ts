import type { ParleyStorage } from './api.ts'

/** Gone with the page. */
export function memoryStorage(): ParleyStorage {
  const items = new Map<string, string>()
  return {
    shared: false,
    get: (key) => items.get(key) ?? null,
    set: (key, value) => void items.set(key, value),
    remove: (key) => void items.delete(key),
    keys: (prefix) => [...items.keys()].filter((key) => key.startsWith(prefix)),
  }
}

/**
 * `localStorage`; memory where that is blocked or absent. What does not fit is kept in memory, so a full or
 * forbidden storage costs durability across reloads, and nothing else.
 */
export function browserStorage(): ParleyStorage {
  const rest = memoryStorage()
  let local: Storage
  try {
    local = globalThis.localStorage
    local.getItem('parley')
  } catch {
    return rest
  }
  return {
    shared: true,
    get: (key) => rest.get(key) ?? local.getItem(key),
    set(key, value) {
      rest.remove(key)
      try {
        local.setItem(key, value)
      } catch {
        rest.set(key, value)
      }
    },
    remove(key) {
      rest.remove(key)
      local.removeItem(key)
    },
    keys: (prefix) => [
      ...new Set([...Object.keys(local).filter((key) => key.startsWith(prefix)), ...rest.keys(prefix)]),
    ],
  }
}

/**
 * Runs `work` while no other tab runs work of the same name, where the browser can tell (Web Locks need a secure
 * context); elsewhere at once. Nothing depends on it for being right: it saves double work, and keeps two tabs from
 * swapping the same refresh token.
 */
export function alone<T>(name: string, work: () => Promise<T>): Promise<T> {
  const locks = globalThis.navigator?.locks
  return locks ? (locks.request(name, work) as Promise<T>) : work()
}
