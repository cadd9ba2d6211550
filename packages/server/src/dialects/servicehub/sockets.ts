import { isStaff } from '../../chat/actor.ts'
import type { Chat } from '../../chat/chat.ts'
import type { Door } from '../door.ts'
import type { Holder } from './tokens.ts'

/** An open socket or stream of this dialect, as the others of its workspace see it. */
export type OpenSocket = {
  readonly holder: Holder
  readonly address: string | null
  /** Somebody whom this one knows has just come. */
  met(userId: string): void
}

const byChat = new WeakMap<Chat, Map<string, Set<OpenSocket>>>()

/** Everybody of the workspace who is connected through this dialect, at the prefix and at root mounts alike. */
export function openSockets({ chat, mount }: Door): Set<OpenSocket> {
  const all = byChat.get(chat) ?? new Map<string, Set<OpenSocket>>()
  byChat.set(chat, all)
  const sockets = all.get(mount.workspaceId) ?? new Set<OpenSocket>()
  all.set(mount.workspaceId, sockets)
  return sockets
}

/** People connected from this address, staff first: who may stand behind a request without a token. */
export function holdersAt(door: Door, address: string | null): Holder[] {
  const here = [...openSockets(door)].filter((socket) => address !== null && socket.address === address)
  const holders = new Map(here.map(({ holder }) => [holder.actor.userId, holder]))
  return [...holders.values()].sort((a, b) => Number(isStaff(b.actor)) - Number(isStaff(a.actor)))
}
