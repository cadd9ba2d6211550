import type { Role } from '@parley/protocol'
import type { Chat } from '../../chat/chat.ts'
import { peopleByIds } from '../../chat/people.ts'

/** What this dialect shows of somebody wherever they appear. */
export type Face = { userId: string; username: string; avatar: string | null; role: Role; createdAt: string }

const freshForMs = 10_000
const mostKnown = 20_000

/** Faces, asked for in batches and remembered for a moment: a room hears the same few people over and over. */
export class Faces {
  readonly #chat: Chat
  readonly #workspaceId: string
  readonly #known = new Map<string, { face: Face; until: number }>()

  constructor(chat: Chat, workspaceId: string) {
    this.#chat = chat
    this.#workspaceId = workspaceId
  }

  /** For people whom the caller may see. Whoever is not there any more has a face all the same. */
  async of(userIds: Iterable<string | null>): Promise<(userId: string | null) => Face> {
    const wanted = new Set([...userIds].filter((id) => id !== null))
    const found = new Map<string, Face>()
    const now = performance.now()
    for (const id of wanted) {
      const known = this.#known.get(id)
      if (known && known.until > now) found.set(id, known.face)
    }
    const missing = [...wanted].filter((id) => !found.has(id))
    if (missing.length > 0) {
      if (this.#known.size + missing.length > mostKnown) this.#known.clear()
      for (const row of await peopleByIds(this.#chat.db, this.#workspaceId, missing)) {
        const face = {
          userId: row.id,
          username: row.username ?? row.name,
          avatar: row.avatar_url,
          role: row.role,
          createdAt: row.created_at,
        }
        found.set(row.id, face)
        this.#known.set(row.id, { face, until: now + freshForMs })
      }
    }
    return (userId) => found.get(userId ?? '') ?? { ...nobody, userId: userId ?? nobody.userId }
  }
}

const nobody: Face = {
  userId: '00000000-0000-0000-0000-000000000000',
  username: 'unknown',
  avatar: null,
  role: 'contact',
  createdAt: '1970-01-01T00:00:00.000Z',
}
