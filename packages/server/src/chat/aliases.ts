import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'

/** How names of a scheme look: `decimal` counts 1, 2, 3, … per kind; `hex24` is 96 random bits. */
export type Scheme = 'decimal' | 'hex24'
export type AliasKind = 'person' | 'inbox' | 'conversation' | 'participant' | 'message' | 'attachment'

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
  if (wanted.length === 0) return new Map()
  const known = await find(db, workspaceId, scheme, kind, wanted)
  const missing = wanted.filter((id) => !known.has(id))
  if (missing.length === 0) return known
  const names =
    scheme === 'decimal' ? await nextNumbers(db, workspaceId, kind, missing.length) : missing.map(randomHex)
  await sql`insert into alias (workspace_id, scheme, kind, id, name)
    select ${workspaceId}, ${scheme}, ${kind}, id, name from unnest(${missing}::uuid[], ${names}::text[]) as n (id, name)
    on conflict (workspace_id, scheme, kind, id) do nothing`.execute(db)
  return find(db, workspaceId, scheme, kind, wanted)
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
  const row = await db
    .selectFrom('alias')
    .select('id')
    .where('workspace_id', '=', workspaceId)
    .where('scheme', '=', scheme)
    .where('kind', '=', kind)
    .where('name', '=', name)
    .executeTakeFirst()
  return row?.id ?? null
}

async function find(
  db: Db,
  workspaceId: string,
  scheme: Scheme,
  kind: AliasKind,
  ids: readonly string[],
): Promise<Map<string, string>> {
  const rows = await db
    .selectFrom('alias')
    .select(['id', 'name'])
    .where('workspace_id', '=', workspaceId)
    .where('scheme', '=', scheme)
    .where('kind', '=', kind)
    .where('id', 'in', ids)
    .execute()
  return new Map(rows.map((row) => [row.id, row.name]))
}

/** Numbers taken for things that somebody else names first are lost: names need not be dense. */
async function nextNumbers(db: Db, workspaceId: string, kind: AliasKind, count: number): Promise<string[]> {
  const { rows } = await sql<{
    last: number
  }>`insert into alias_counter as k (workspace_id, scheme, kind, last)
    values (${workspaceId}, 'decimal', ${kind}, ${count})
    on conflict (workspace_id, scheme, kind) do update set last = k.last + ${count} returning last`.execute(
    db,
  )
  const last = rows[0]?.last ?? count
  return Array.from({ length: count }, (_, i) => String(last - count + 1 + i))
}

const randomHex = () => randomBytes(12).toString('hex')
