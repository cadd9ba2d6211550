import type { Store } from '@parley/client'
import { useEffect, useRef } from 'react'
import { namespace, storage } from '../account.ts'

/** What a key does while nobody is typing. Keys are written as `KeyboardEvent.key` gives them. */
export type Shortcuts = Record<string, (event: KeyboardEvent) => void>

/**
 * Shortcuts for as long as the caller is drawn. A key with Ctrl, Alt or the command key is the browser's; keys inside a
 * menu are the menu's. Letters stop when somebody has switched them off, because voice control types them.
 */
export function useShortcuts(shortcuts: Shortcuts) {
  const current = useRef(shortcuts)
  useEffect(() => {
    current.current = shortcuts
  })
  useEffect(() => {
    function press(event: KeyboardEvent) {
      const act = current.current[event.key]
      if (!act || event.defaultPrevented || event.isComposing) return
      if (event.ctrlKey || event.metaKey || event.altKey || isBusy(event.target)) return
      if (event.key.length === 1 && !singleKeys.get()) return
      event.preventDefault()
      act(event)
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [])
}

function isBusy(target: EventTarget | null): boolean {
  if (document.querySelector('[role="menu"], dialog[open]')) return true
  return (
    target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable]') !== null
  )
}

const key = `${namespace}:single-keys`
const listeners = new Set<() => void>()

/** Whether single letters act (WCAG 2.1.4). */
export const singleKeys: Store<boolean> & { set(on: boolean): void } = {
  get: () => storage.get(key) !== 'off',
  subscribe(listener) {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
  set(on) {
    if (on) storage.remove(key)
    else storage.set(key, 'off')
    for (const listener of [...listeners]) listener()
  },
}
