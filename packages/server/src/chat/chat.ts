import type { LogEvent, Receipt, Visibility } from '@parley/protocol'
import type { Transaction } from 'kysely'
import type { Config } from '../config.ts'
import type { Db, Store, Tables } from '../store/store.ts'
import type { Blobs } from './blobs.ts'
import { Failure } from './failure.ts'
import type { SendQueue } from './send-queue.ts'

/** What every verb needs: the store, the queue of sends, where files lie, and a way to be heard. */
export type Chat = {
  store: Store
  db: Db
  config: Config
  sends: SendQueue
  blobs: Blobs
  announce: Announce
}

export type LoggedEntry = { event: LogEvent; visibility: Visibility }

/**
 * What nodes are told after a commit. All of it is a hint: losing one costs time, never truth. `entries` stay on
 * this node; what travels between nodes carries ids and positions only (design §6).
 */
export type Announcement =
  | {
      type: 'logged'
      workspaceId: string
      conversationId: string
      inboxId: string | null
      seq: number
      entries?: LoggedEntry[]
    }
  | {
      type: 'receipt'
      workspaceId: string
      conversationId: string
      inboxId: string | null
      receipt: Receipt
      newlyRead?: [number, number][]
    }
  /** Nobody knows whether what was to be written in these was: look, when something is. */
  | { type: 'uncertain'; conversationIds: string[] }
  /** Sessions, roles, memberships or grants of these people changed: look again at what they may do. */
  | { type: 'access'; workspaceId: string; userIds: string[] }
  | {
      type: 'typing'
      workspaceId: string
      conversationId: string
      inboxId: string | null
      userId: string
      name: string
      typing: boolean
    }

export type Announce = (announcement: Announcement) => void

/** A transaction whose announcements leave when it has committed, and never if it has not. */
export type Change = { db: Transaction<Tables>; announce: Announce }

/** Runs `work` in one transaction. Inside, use only `change.db`: the embedded store has a single backend. */
export async function change<T>(chat: Chat, work: (change: Change) => Promise<T>): Promise<T> {
  const announcements: Announcement[] = []
  const result = await chat.db
    .transaction()
    .execute((db) => work({ db, announce: (announcement) => announcements.push(announcement) }))
    .catch((error: unknown) => {
      // The answer to the commit may have been lost. If nothing was written after all, a row is told for nothing.
      if (!(error instanceof Failure))
        chat.announce({ type: 'uncertain', conversationIds: loggedIn(announcements) })
      throw error
    })
  for (const announcement of announcements) chat.announce(announcement)
  return result
}

const loggedIn = (announcements: readonly Announcement[]) =>
  announcements.flatMap((one) => (one.type === 'logged' ? [one.conversationId] : []))
