import { peopleByIds } from '../../chat/people.ts'
import type { Door } from '../door.ts'
import { names } from './names.ts'
import { type Role, roleOf } from './translate.ts'

/** Somebody as this dialect names them. */
export type Someone = { id: string; username: string; role: Role }

const freshForMs = 10_000
const remembered = 10_000

/** Names and usernames of people who were seen a moment ago: every message tells them, and they hardly change. */
export class People {
  readonly #door: Door
  readonly #seen = new Map<string, { someone: Someone; at: number }>()

  constructor(door: Door) {
    this.#door = door
  }

  async of(userIds: readonly string[]): Promise<Map<string, Someone>> {
    const found = new Map<string, Someone>()
    const missing = new Set<string>()
    for (const userId of userIds) {
      const seen = this.#seen.get(userId)
      if (seen && performance.now() - seen.at < freshForMs) found.set(userId, seen.someone)
      else missing.add(userId)
    }
    if (missing.size > 0)
      for (const [userId, someone] of await this.#load([...missing])) found.set(userId, someone)
    return found
  }

  async one(userId: string): Promise<Someone> {
    const someone = (await this.of([userId])).get(userId)
    if (!someone) throw new Error(`There is nobody with the id ${userId}`)
    return someone
  }

  async #load(userIds: readonly string[]): Promise<[string, Someone][]> {
    const { chat, mount } = this.#door
    const rows = await peopleByIds(chat.db, mount.workspaceId, userIds)
    const known = await names.ofAll(
      this.#door,
      'person',
      rows.map((row) => row.id),
    )
    const found = rows.map((row): [string, Someone] => [
      row.id,
      { id: known.get(row.id) ?? '', username: row.username ?? row.name, role: roleOf(row.role) },
    ])
    for (const [userId, someone] of found) this.#remember(userId, someone)
    return found
  }

  #remember(userId: string, someone: Someone): void {
    this.#seen.delete(userId)
    this.#seen.set(userId, { someone, at: performance.now() })
    if (this.#seen.size <= remembered) return
    const oldest = this.#seen.keys().next().value
    if (oldest) this.#seen.delete(oldest)
  }
}

const byDoor = new WeakMap<Door, People>()

export function peopleAt(door: Door): People {
  const people = byDoor.get(door) ?? new People(door)
  byDoor.set(door, people)
  return people
}
