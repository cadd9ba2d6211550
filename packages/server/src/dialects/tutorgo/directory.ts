import type { Actor } from '../../chat/actor.ts'
import type { Chat } from '../../chat/chat.ts'
import { createContact } from '../../chat/contacts.ts'
import { type Correspondent, directsAmong, findDirect } from '../../chat/directs.ts'
import { peopleByExternalIds, peopleByIds } from '../../chat/people.ts'
import { pairIdOf } from './pair-ids.ts'
import { isUuid } from './translate.ts'

/** Somebody under the id that clients know: the one in tokens, or ours for whoever never came with a token. */
export type Known = { userId: string; id: string }

/** The two people of a conversation. */
export class Pair {
  readonly conversationId: string
  readonly id: string
  readonly people: readonly [Known, Known]

  constructor(conversationId: string, [a, b]: readonly [Correspondent, Correspondent]) {
    const [first, second] = [knownOf(a), knownOf(b)]
    this.conversationId = conversationId
    this.people = first.id < second.id ? [first, second] : [second, first]
    this.id = pairIdOf(first.id, second.id)
  }

  nameOf(userId: string): string {
    return this.people.find((person) => person.userId === userId)?.id ?? userId
  }

  otherOf(userId: string): Known {
    return this.people[0].userId === userId ? this.people[1] : this.people[0]
  }

  endsOf(senderId: string | null): { senderId: string; receiverId: string } {
    return {
      senderId: senderId === null ? 'system' : this.nameOf(senderId),
      receiverId: this.otherOf(senderId ?? '').id,
    }
  }
}

const mostKnown = 50_000

/**
 * Who is who, and which conversation is whose. An id never comes to mean somebody else and a direct conversation never
 * gets other people, so what was found is remembered; that something is not there is asked each time.
 */
export class Directory {
  readonly #chat: Chat
  readonly #workspaceId: string
  readonly #userIds = new Map<string, string>()
  readonly #ids = new Map<string, string>()
  readonly #pairs = new Map<string, Pair | null>()
  readonly #directs = new Map<string, Direct>()

  constructor(chat: Chat, workspaceId: string) {
    this.#chat = chat
    this.#workspaceId = workspaceId
  }

  /** The people behind these ids; who was never seen is left out. */
  async find(ids: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>()
    const asked = ids.filter((id) => {
      const known = this.#userIds.get(id)
      if (known) found.set(id, known)
      return known === undefined
    })
    if (asked.length === 0) return found
    for (const row of await peopleByExternalIds(this.#chat.db, this.#workspaceId, asked))
      if (row.external_id !== null) this.#note(found, row.external_id, row.id)
    const rest = asked.filter((id) => !found.has(id) && isUuid(id))
    for (const row of await peopleByIds(this.#chat.db, this.#workspaceId, rest))
      if (row.external_id === null) found.set(row.id, row.id)
    return found
  }

  async findOne(id: string): Promise<string | null> {
    return (await this.find([id])).get(id) ?? null
  }

  /** The same, and whoever is not there yet is made: somebody whom we trust has named them. */
  async ensure(ids: readonly string[]): Promise<Map<string, string>> {
    const wanted = [...new Set(ids)]
    const found = await this.find(wanted)
    for (const id of wanted.filter((one) => !found.has(one))) {
      const made = await createContact(
        this.#chat,
        { workspaceId: this.#workspaceId },
        { name: id, externalId: id },
      )
      this.#note(found, id, made.id)
    }
    return found
  }

  /** The ids that clients know these people by. */
  async idsOf(userIds: readonly string[]): Promise<Map<string, string>> {
    const missing = userIds.filter((userId) => !this.#ids.has(userId))
    for (const row of await peopleByIds(this.#chat.db, this.#workspaceId, missing))
      remember(this.#ids, row.id, row.external_id ?? row.id)
    return new Map(
      userIds.flatMap((userId) => {
        const id = this.#ids.get(userId)
        return id === undefined ? [] : [[userId, id] as const]
      }),
    )
  }

  /** The two people of each of these conversations; those of more than two, or with a team, are left out. */
  async pairsOf(conversationIds: readonly string[]): Promise<Map<string, Pair>> {
    const missing = [...new Set(conversationIds)].filter((id) => !this.#pairs.has(id))
    if (missing.length > 0) {
      const directs = await directsAmong(this.#chat.db, this.#workspaceId, missing)
      for (const id of missing) {
        const people = directs.get(id)
        remember(this.#pairs, id, people ? new Pair(id, people) : null)
      }
    }
    const found = new Map<string, Pair>()
    for (const id of conversationIds) {
      const pair = this.#pairs.get(id)
      if (pair) found.set(id, pair)
    }
    return found
  }

  async pairOf(conversationId: string): Promise<Pair | null> {
    return (await this.pairsOf([conversationId])).get(conversationId) ?? null
  }

  /** The conversation of the actor with somebody, if they have one. */
  async directOf(actor: Actor, otherId: string): Promise<Direct | null> {
    const key = pairIdOf(actor.userId, otherId)
    const known = this.#directs.get(key)
    if (known) return known
    const found = await findDirect(this.#chat, actor, otherId)
    if (!found) return null
    const direct = { id: found.id, status: found.status, grantRequired: found.grant_required }
    if (found.status !== 'archived' && found.status !== 'closed') remember(this.#directs, key, direct)
    return direct
  }

  /** What was remembered of a conversation turned out to be so no more. */
  forgetDirect(actor: Actor, otherId: string): void {
    this.#directs.delete(pairIdOf(actor.userId, otherId))
  }

  #note(found: Map<string, string>, id: string, userId: string): void {
    found.set(id, userId)
    remember(this.#userIds, id, userId)
  }
}

export type Direct = { id: string; status: string; grantRequired: boolean }

const knownOf = ({ userId, externalId }: Correspondent): Known => ({ userId, id: externalId ?? userId })

/** Bounded: what was seen first is forgotten first. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.set(key, value)
  if (map.size <= mostKnown) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
