import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { Attachment, Event, Message } from '@parley/protocol'
import type { Store } from '../../store/store.ts'
import { type Actor, wayInOf } from '../actor.ts'
import type { Chat } from '../chat.ts'
import { ensureTokenSecret, tokenSecret } from '../token-secret.ts'

/**
 * What a link says, all of it under the signature. `for` may open it, as long as they may see the file and the session
 * or key it was made in, `by`, stands. Without one, a door that has tokens of its own let them in.
 */
export type Link = {
  attachmentId: string
  for: string
  by: string | null
  expires: number
  signature: string
}

type Viewer = Pick<Actor, 'workspaceId' | 'userId' | 'sessionId' | 'keyId'>

const hourSeconds = 3_600

/** Where the file lies. Without a signature the path opens nothing, so it can stand in what many people read. */
export const pathOf = (attachmentId: string) => `/api/v1/files/${attachmentId}`

/** Reads the key for links, or makes it; once for each store, before the first link is signed. */
export async function prepareLinks({ store, db }: Pick<Chat, 'store' | 'db'>): Promise<void> {
  if (keys.has(store)) return
  await ensureTokenSecret(db)
  keys.set(store, Buffer.from(hkdfSync('sha256', await tokenSecret(db), '', 'parley: links to files', 32)))
}

const keys = new WeakMap<Store, Buffer>()

/**
 * The attachment with links for this person in this session, good for one to two hours and the same for each hour, so
 * that browsers may cache.
 */
export function linked(chat: Pick<Chat, 'store'>, attachment: Attachment, viewer: Viewer): Attachment {
  const expires = (Math.floor(Date.now() / 1_000 / hourSeconds) + 2) * hourSeconds
  const by = wayInOf(viewer)
  const claims = { attachmentId: attachment.id, for: viewer.userId, by, expires }
  const query = `for=${viewer.userId}${by ? `&by=${by}` : ''}&expires=${expires}&signature=${sign(chat, viewer.workspaceId, claims)}`
  const url = `${pathOf(attachment.id)}?${query}`
  return { ...attachment, url, thumbnailUrl: attachment.thumbnailUrl && `${url}&thumbnail=true` }
}

/** The message with links for this person: the last step before it leaves for them, since they differ for each reader. */
export function linkedMessage(chat: Pick<Chat, 'store'>, message: Message, viewer: Viewer): Message {
  if (message.attachments.length === 0) return message
  return {
    ...message,
    attachments: message.attachments.map((attachment) => linked(chat, attachment, viewer)),
  }
}

/** The same for an event; one that shows no files is given back as it is. */
export function linkedEvent(chat: Pick<Chat, 'store'>, event: Event, viewer: Viewer): Event {
  if (event.type === 'message.created') {
    const message = linkedMessage(chat, event.message, viewer)
    return message === event.message ? event : { ...event, message }
  }
  if (event.type !== 'conversation.changed' || !event.summary.lastMessage) return event
  const lastMessage = linkedMessage(chat, event.summary.lastMessage, viewer)
  if (lastMessage === event.summary.lastMessage) return event
  return { ...event, summary: { ...event.summary, lastMessage } }
}

/** The workspace that a link belongs to, or null if we never gave out this link, or it has expired. */
export function workspaceOfLink(chat: Pick<Chat, 'store'>, link: Link): string | null {
  if (!/^[\w-]{64}$/.test(link.signature) || !(link.expires * 1_000 > Date.now())) return null
  const hex = Buffer.from(link.signature, 'base64url').subarray(0, 16).toString('hex')
  const workspaceId = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  const right = Buffer.from(sign(chat, workspaceId, link))
  return timingSafeEqual(right, Buffer.from(link.signature)) ? workspaceId : null
}

/** The workspace travels in front of the code, for every index begins with it: 16 and 32 bytes, 64 characters. */
function sign(chat: Pick<Chat, 'store'>, workspaceId: string, link: Omit<Link, 'signature'>): string {
  const key = keys.get(chat.store)
  if (!key) throw new Error('prepareLinks() must come before the first link')
  const claims = [workspaceId, link.attachmentId, link.for, link.by ?? '', link.expires].join('\n')
  const code = createHmac('sha256', key).update(claims).digest()
  return Buffer.concat([Buffer.from(workspaceId.replaceAll('-', ''), 'hex'), code]).toString('base64url')
}
