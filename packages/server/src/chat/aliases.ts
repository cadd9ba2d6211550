import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'

/** How names of a scheme look: `decimal` counts 1, 2, 3, … per kind; `hex24` is 96 random bits. */
export type Scheme = 'decimal' | 'hex24'
export type AliasKind = 'person' | 'inbox' | 'conversation' | 'participant'

/**
 * The names of things in another protocol, made for those that have none yet. Two who ask at once get the same. The
 * caller has checked that the ids may be seen; names are handles like ids, never permissions.
 */
export async function aliasesOf(
  db: Db,
  workspaceId: string,
  scheme: Scheme,
  kind: AliasKind,
  ids: readonly string[],
): Promise<Map<string, string>> {
  const wanted = [...new Set(ids)]
  // What a transaction names may still be undone: only what has been committed is remembered or shared.
  if (db.isTransaction) return nameAll(db, { workspaceId, scheme, kind }, wanted)
  return namesOf(db, { workspaceId, scheme, kind }).of(wanted)
}

/** The name of one thing. */
export async function aliasOf(
  db: Db,
  workspaceId: string,
  scheme: Scheme,
  kind: AliasKind,
  id: string,
): Promise<string> {
  const name = (await aliasesOf(db, workspaceId, scheme, kind, [id])).get(id)
  if (!name) throw new Error(`No ${scheme} name could be made for ${kind} ${id}`)
  return name
}

/** The thing with this name, or null. */
export async function idOfAlias(
  db: Db,
  workspaceId: string,
  scheme: Scheme,
  kind: AliasKind,
  name: string,
): Promise<string | null> {
  const names = namesOf(db, { workspaceId, scheme, kind })
  const known = names.idOf(name)
  if (known) return known
  const row = await db
    .selectFrom('alias')
    .select('id')
    .where('workspace_id', '=', workspaceId)
    .where('scheme', '=', scheme)
    .where('kind', '=', kind)
    .where('name', '=', name)
    .executeTakeFirst()
  if (row && !db.isTransaction) names.remember(row.id, name)
  return row?.id ?? null
}

type Space = { workspaceId: string; scheme: Scheme; kind: AliasKind }

const remembered = 50_000

/**
 * The names of one kind that this node has seen; a name never changes. Those who ask while others are being answered
 * wait together and are answered by one statement, so that naming keeps up with the group commit of sends.
 */
class Names {
  readonly #db: Db
  readonly #space: Space
  readonly #nameById = new Map<string, string>()
  readonly #idByName = new Map<string, string>()
  #waiting = new Set<string>()
  #next: Promise<Map<string, string>> | undefined
  #current: Promise<unknown> = Promise.resolve()

  constructor(db: Db, space: Space) {
    this.#db = db
    this.#space = space
  }

  async of(ids: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>()
    const missing = ids.filter((id) => {
      const known = this.#nameById.get(id)
      if (known) found.set(id, known)
      return known === undefined
    })
    if (missing.length === 0) return found
    const asked = await this.#ask(missing)
    for (const id of missing) {
      const made = asked.get(id)
      if (made) found.set(id, made)
    }
    return found
  }

  idOf(name: string): string | undefined {
    return this.#idByName.get(name)
  }

  /** Bounded: what was seen first is forgotten first. */
  remember(id: string, name: string): void {
    this.#nameById.set(id, name)
    this.#idByName.set(name, id)
    if (this.#nameById.size <= remembered) return
    const [oldest] = this.#nameById
    if (!oldest) return
    this.#nameById.delete(oldest[0])
    this.#idByName.delete(oldest[1])
  }

  #ask(ids: readonly string[]): Promise<Map<string, string>> {
    for (const id of ids) this.#waiting.add(id)
    this.#next ??= this.#askNext()
    return this.#next
  }

  async #askNext(): Promise<Map<string, string>> {
    await this.#current
    const ids = [...this.#waiting]
    this.#waiting.clear()
    const answer = nameAll(this.#db, this.#space, ids)
    this.#next = undefined
    this.#current = answer.catch(() => undefined)
    const names = await answer
    for (const [id, name] of names) this.remember(id, name)
    return names
  }
}

const byDb = new WeakMap<Db, Map<string, Names>>()

function namesOf(db: Db, space: Space): Names {
  const all = byDb.get(db) ?? new Map<string, Names>()
  byDb.set(db, all)
  const key = `${space.workspaceId} ${space.scheme} ${space.kind}`
  const names = all.get(key) ?? new Names(db, space)
  all.set(key, names)
  return names
}

/** One statement, or two when somebody else on another node named the same thing at this moment. */
async function nameAll(db: Db, space: Space, ids: readonly string[]): Promise<Map<string, string>> {
  const names = new Map<string, string>()
  for (const [id, name] of await lookUpOrMake(db, space, ids)) names.set(id, name)
  const late = ids.filter((id) => !names.has(id))
  if (late.length > 0) for (const [id, name] of await lookUpOrMake(db, space, late)) names.set(id, name)
  return names
}

/** Numbers taken for things that somebody else names first are lost: names need not be dense. */
async function lookUpOrMake(
  db: Db,
  { workspaceId, scheme, kind }: Space,
  ids: readonly string[],
): Promise<[id: string, name: string][]> {
  if (ids.length === 0) return []
  const names = ids.map(scheme === 'decimal' ? () => '' : randomHex)
  const { rows } = await sql<{ thing: string; label: string }>`
    select thing, label from names_of(${workspaceId}, ${scheme}, ${kind}, ${ids}::uuid[], ${names}::text[])`.execute(
    db,
  )
  return rows.map((row) => [row.thing, row.label])
}

const randomHex = () => randomBytes(12).toString('hex')
