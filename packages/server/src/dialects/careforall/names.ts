import type { Chat } from '../../chat/chat.ts'
import { peopleByExternalIds, peopleByIds } from '../../chat/people.ts'
import type { PersonRow } from '../../chat/user-view.ts'
import type { Door } from '../door.ts'
import type { Names } from './translate.ts'

const mostKept = 20_000
/** How long nobody asks again whether somebody is known elsewhere by now. */
const namelessMs = 5_000
const keptFor = new WeakMap<Chat, Map<string, { name: string; until: number }>>()

/**
 * What clients call these people: the id of the service that keeps the accounts, or ours for those it does not know.
 * Ids given by that service stay, so they are kept; somebody without one may be given it later, and is looked up again.
 */
export async function namesOf(door: Door, userIds: readonly (string | null)[]): Promise<Names> {
  const kept = keptFor.get(door.chat) ?? new Map<string, { name: string; until: number }>()
  keptFor.set(door.chat, kept)
  const now = performance.now()
  const wanted = [...new Set(userIds)].filter((id) => id !== null)
  const names = new Map<string, string>()
  for (const id of wanted) {
    const known = kept.get(id)
    if (known && known.until > now) names.set(id, known.name)
  }
  const missing = wanted.filter((id) => !names.has(id))
  for (const { id, external_id: name } of await peopleByIds(door.chat.db, door.mount.workspaceId, missing)) {
    if (kept.size >= mostKept) kept.clear()
    kept.set(id, name === null ? { name: id, until: now + namelessMs } : { name, until: Infinity })
    names.set(id, name ?? id)
  }
  return (userId) => (userId === null ? 'system' : (names.get(userId) ?? userId))
}

const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The people whom clients call so, active ones; who is not known is left out. */
export async function peopleNamed(door: Door, names: readonly string[]): Promise<Map<string, PersonRow>> {
  const { chat, mount } = door
  const byName = await peopleByExternalIds(chat.db, mount.workspaceId, names)
  const known = new Map(byName.map((person) => [person.external_id ?? '', person]))
  const ids = names.filter((name) => !known.has(name) && uuidForm.test(name))
  for (const person of await peopleByIds(chat.db, mount.workspaceId, ids)) known.set(person.id, person)
  return new Map([...known].filter(([, person]) => person.deactivated_at === null))
}
