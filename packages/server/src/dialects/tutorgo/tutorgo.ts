import { Arrivals } from '../../chat/arrivals.ts'
import type { Chat } from '../../chat/chat.ts'
import type { Granter } from '../../chat/grants.ts'
import type { Door } from '../door.ts'
import { Allowance } from './allowance.ts'
import { Bookings } from './bookings.ts'
import { Directory } from './directory.ts'
import { Translator } from './told.ts'

/** What everything in this dialect stands on, once for each mount. */
export type TutorGo = {
  door: Door
  chat: Chat
  workspaceId: string
  directory: Directory
  bookings: Bookings
  translator: Translator
  arrivals: Arrivals
  messages: Allowance
  requests: Allowance
  connections: Connections
  isWrapped: boolean
  /** What a token that has run out is answered with over REST. */
  expiredStatus: 401 | 403
}

const known = new WeakMap<Door, TutorGo>()

export function tutorGoAt(door: Door): TutorGo {
  const tutorgo = known.get(door) ?? make(door)
  known.set(door, tutorgo)
  return tutorgo
}

/** More than anybody types, and little for a program that has lost its way. */
const usualPerMinute = 6_000
const usualConnections = 50

function make(door: Door): TutorGo {
  const { chat, mount, log } = door
  const { workspaceId, options } = mount
  const directory = new Directory(chat, workspaceId)
  const service: Granter = { workspaceId, userId: null, address: null }
  const rules = { url: options.bookingsUrl ?? null, countsCompleted: options.completed === 'on' }
  const perMinute = (option: string | undefined) =>
    option !== undefined ? Number(option) : chat.config.rateLimit ? usualPerMinute : null
  return {
    door,
    chat,
    workspaceId,
    directory,
    bookings: new Bookings(chat, directory, service, rules, log),
    translator: new Translator(chat, workspaceId, directory, mount.base),
    arrivals: new Arrivals(chat, workspaceId, (error) =>
      log.warn({ err: error }, 'could not mark messages delivered'),
    ),
    messages: new Allowance(perMinute(options.messageLimit)),
    requests: new Allowance(perMinute(options.requestLimit)),
    connections: new Connections(Number(options.connectionLimit ?? usualConnections)),
    isWrapped: options.envelope === 'wrapped',
    expiredStatus: options.expired === '401' ? 401 : 403,
  }
}

/** How many sockets are open, of each person at most so many. */
export class Connections {
  readonly #most: number
  readonly #byUser = new Map<string, number>()
  #total = 0

  constructor(most: number) {
    this.#most = most
  }

  get total(): number {
    return this.#total
  }

  /** Counts one more, if there may be one; gives what takes it back, once. */
  enter(userId: string): (() => void) | null {
    const open = this.#byUser.get(userId) ?? 0
    if (open >= this.#most) return null
    this.#byUser.set(userId, open + 1)
    this.#total++
    let isIn = true
    return () => {
      if (!isIn) return
      isIn = false
      this.#total--
      const left = (this.#byUser.get(userId) ?? 1) - 1
      if (left > 0) this.#byUser.set(userId, left)
      else this.#byUser.delete(userId)
    }
  }
}
