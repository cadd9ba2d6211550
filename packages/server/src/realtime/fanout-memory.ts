import type { Announcement } from '../chat/chat.ts'
import type { Fanout } from './fanout.ts'

/** One node: whoever announces is heard at once, entries and all. */
export function memoryFanout(): Fanout {
  let hear: (announcement: Announcement) => void = () => {}
  return {
    announce: (announcement) => hear(announcement),
    listen: (listener) => {
      hear = listener
    },
    close: async () => {},
  }
}
