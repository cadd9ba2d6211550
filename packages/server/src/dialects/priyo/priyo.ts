import type { Attachment } from '@parley/protocol'
import { type Actor, isAdmin } from '../../chat/actor.ts'
import { Arrivals } from '../../chat/arrivals.ts'
import type { Chat } from '../../chat/chat.ts'
import type { Door } from '../door.ts'
import { Faces } from './faces.ts'
import { fileUrlOf } from './files.ts'
import { Readings } from './readings.ts'
import { SecretNames } from './secret-names.ts'
import { TokenMint } from './tokens.ts'

/** What everything in this dialect stands on, once for each mount. */
export type Priyo = {
  door: Door
  chat: Chat
  workspaceId: string
  tokens: TokenMint
  faces: Faces
  files: SecretNames
  widgetNames: SecretNames
  arrivals: Arrivals
  readings: Readings
  urlOf(attachment: Attachment): string
}

const known = new WeakMap<Door, Promise<Priyo>>()

export function priyoAt(door: Door): Promise<Priyo> {
  const priyo = known.get(door) ?? make(door)
  known.set(door, priyo)
  return priyo
}

async function make(door: Door): Promise<Priyo> {
  const { chat, mount } = door
  const { workspaceId, options } = mount
  const files = await SecretNames.of(chat, `priyo ${workspaceId} files`)
  return {
    door,
    chat,
    workspaceId,
    tokens: await TokenMint.of(chat, workspaceId, {
      access: secondsOf(options.accessExpiresIn ?? '15m'),
      refresh: secondsOf(options.refreshExpiresIn ?? '7d'),
    }),
    faces: new Faces(chat, workspaceId),
    files,
    widgetNames: await SecretNames.of(chat, `priyo ${workspaceId} widget conversations`),
    arrivals: new Arrivals(chat, workspaceId, (error) =>
      door.log.debug({ err: error }, 'could not mark messages delivered'),
    ),
    readings: new Readings(),
    urlOf: (attachment) => fileUrlOf(files, attachment),
  }
}

const units: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 }
const secondsOf = (text: string) => Number(text.slice(0, -1)) * (units[text.slice(-1)] ?? 1)

/** Somebody at this door. An agent works in no inbox here: they see what they were brought into, and nothing else. */
export const member = (actor: Actor): Actor => (isAdmin(actor) ? actor : { ...actor, inboxIds: [] })

/** The same person as a reader, for whom notes of the team do not exist. Admins see every conversation. */
export const reader = (actor: Actor): Actor => (isAdmin(actor) ? actor : participant(actor))

/** The same person in the conversations they take part in, and in no other. */
export const participant = (actor: Actor): Actor => ({ ...actor, role: 'contact', inboxIds: [] })
