import type { Pool } from 'pg'
import { idIn, idOf, signed, tokenAt, tokenOf, workspaceId } from './cast.ts'

const trusted = Buffer.from('a secret that only this bench and its servers know')
export const external = (person: number) => `p${person}`
export const hex24 = (number: number) => number.toString(16).padStart(24, '0')
export const base36 = (id: string) =>
  BigInt(`0x${id.replaceAll('-', '')}`)
    .toString(36)
    .padStart(25, '0')
export const pairOf = (one: number, other: number) => [external(one), external(other)].sort().join('_')
const session = (person: number) => ({ sid: idOf('session', person), sv: 1 })

/** A person's token, as each dialect wants it; `external` is for those whose people come from elsewhere. */
export const tokens = {
  native: tokenOf,
  servicehub: (person: number) =>
    tokenAt(`dialect servicehub ${workspaceId}`, {
      ...{ id: String(person), role: 'CUSTOMER', username: external(person), sub: idOf('person', person) },
      ...session(person),
    }),
  priyo: (person: number) =>
    tokenAt(`priyo ${workspaceId} access`, {
      ...{ userId: base36(idOf('person', person)), jti: crypto.randomUUID() },
      ...session(person),
    }),
  livesupport: (person: number) =>
    tokenAt(`livesupport ${workspaceId}`, { userId: hex24(person), ...session(person) }),
  external: (person: number) =>
    signed({ userId: external(person), exp: Math.floor(Date.now() / 1000) + 3_600 }, trusted),
}

export type Range = { first: number; count: number }

/** The names that dialects give, the key that signs for people elsewhere, and grants for every two in a conversation. */
export async function seedNames(
  pool: Pool,
  { people, conversations }: { people: Range; conversations: Range },
): Promise<void> {
  await pool.query(`update person set external_id = 'p' || n, username = 'p' || n
    from ${numbersOf(people)} where id = ${idIn('person', 'n')}`)
  await pool.query(
    `insert into identity_key (workspace_id, id, kind, material, user_id_claim)
      values ('${workspaceId}', '${idOf('inbox', 2)}', 'hs256', $1, 'userId') on conflict do nothing`,
    [trusted.toString()],
  )
  for (const [kind, range] of [
    ['person', people],
    ['conversation', conversations],
  ] as const) {
    await pool.query(`insert into alias (workspace_id, scheme, kind, id, name)
      select '${workspaceId}', scheme, '${kind}', ${idIn(kind, 'n')},
        case scheme when 'decimal' then n::text else lpad(to_hex(n), 24, '0') end
      from ${numbersOf(range)}, unnest(array['decimal', 'hex24']) scheme`)
    await pool.query(`insert into alias_counter (workspace_id, scheme, kind, last)
      values ('${workspaceId}', 'decimal', '${kind}', ${range.first + range.count - 1})
      on conflict (workspace_id, scheme, kind) do update set last = greatest(alias_counter.last, excluded.last)`)
  }
  await pool.query(`insert into access_grant (workspace_id, id, kind, person_a, person_b, scopes)
    select '${workspaceId}', gen_random_uuid(), 'booking', a.person_id, b.person_id, array['write', 'attach']
    from ${numbersOf(conversations)}
    join participant a on a.workspace_id = '${workspaceId}' and a.conversation_id = ${idIn('conversation', 'n')}
    join participant b on b.workspace_id = a.workspace_id and b.conversation_id = a.conversation_id
    where a.person_id < b.person_id`)
}

const numbersOf = ({ first, count }: Range) => `generate_series(${first}, ${first + count - 1}) n`
