import type { limits } from '@parley/protocol'
import type { Typist } from './api.ts'

const typingMs: (typeof limits)['typingMs'] = 6_000
const typingEveryMs = 3_000
const typingStopsMs = 5_000

/**
 * Who writes in a conversation at this moment, and telling the others that I do. What was heard ends by itself after a
 * while, and what I tell is told again while I go on, and taken back when I stop.
 */
export function watchTyping(
  myself: () => string | null,
  tell: (typing: boolean) => void,
  change: () => void,
) {
  let typists: readonly Typist[] = []
  const ends = new Map<string, ReturnType<typeof setTimeout>>()
  let toldAt = 0
  let stops: ReturnType<typeof setTimeout> | undefined

  function hear(userId: string, name: string, typing: boolean) {
    if (userId === myself()) return
    clearTimeout(ends.get(userId))
    forget(userId)
    if (typing) {
      typists = [...typists, { userId, name }]
      ends.set(
        userId,
        setTimeout(() => hear(userId, name, false), typingMs),
      )
    }
    change()
  }

  /** One whose message has come, or everybody. */
  function forget(userId?: string | null) {
    typists = typists.filter((one) => userId !== undefined && one.userId !== userId)
  }

  function set(typing: boolean) {
    clearTimeout(stops)
    if (typing) stops = setTimeout(() => set(false), typingStopsMs)
    if (typing ? Date.now() - toldAt < typingEveryMs : !toldAt) return
    toldAt = typing ? Date.now() : 0
    tell(typing)
  }

  function close() {
    ends.forEach(clearTimeout)
    clearTimeout(stops)
  }

  return { hear, forget, set, close, all: () => typists }
}
