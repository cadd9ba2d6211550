import { createHmac, hkdfSync, randomBytes } from 'node:crypto'
import type { Pool } from 'pg'

const kinds = { workspace: 1, inbox: 2, person: 3, session: 4, conversation: 5, message: 6 }
type Kind = keyof typeof kinds

/** Ids that everybody can work out, in the form of a UUIDv7: of one kind, in order. */
export const idOf = (kind: Kind, number: number) =>
  `${prefixOf(kind)}${number.toString(16).padStart(12, '0')}`
const prefixOf = (kind: Kind) => `0190000${kinds[kind]}-0000-7000-8000-`
export const idIn = (kind: Kind, number: string) =>
  `('${prefixOf(kind)}' || lpad(to_hex(${number}), 12, '0'))::uuid`

export const workspaceId = idOf('workspace', 1)
export const inboxId = idOf('inbox', 1)
const secret = randomBytes(32)

/** One workspace with one inbox. */
export async function seedWorkspace(pool: Pool): Promise<void> {
  await pool.query(`insert into workspace (id, slug, name) values ('${workspaceId}', 'main', 'Bench')`)
  await pool.query(`insert into server_meta (key, value) values ('token_secret', $1)`, [
    secret.toString('base64url'),
  ])
  await pool.query(`insert into inbox (workspace_id, id, name, widget_key)
    values ('${workspaceId}', '${inboxId}', 'Bench', 'bench')`)
}

/** People numbered from `first` on, each with a session. The first ones are agents of the inbox. */
export async function seedPeople(
  pool: Pool,
  { first, count, agents = 0 }: { first: number; count: number; agents?: number },
): Promise<void> {
  const numbers = `generate_series(${first}, ${first + count - 1}) n`
  await pool.query(`insert into person (workspace_id, id, role, name)
    select '${workspaceId}', ${idIn('person', 'n')}, case when n < ${first + agents} then 'agent' else 'contact' end, 'Person ' || n
    from ${numbers}`)
  await pool.query(`insert into session (workspace_id, id, person_id, kind, expires_at)
    select '${workspaceId}', ${idIn('session', 'n')}, ${idIn('person', 'n')}, 'password', now() + interval '1 day'
    from ${numbers}`)
  await pool.query(`insert into inbox_member (workspace_id, inbox_id, person_id)
    select '${workspaceId}', '${inboxId}', ${idIn('person', 'n')} from generate_series(1, ${agents}) n`)
}

/** Conversations numbered from `first`, each between the next two people from `firstPerson` on, who wrote so much. */
export async function seedPairs(
  pool: Pool,
  {
    first,
    count,
    firstPerson,
    messages = 0,
  }: { first: number; count: number; firstPerson: number; messages?: number },
): Promise<void> {
  await pool.query(`insert into conversation (workspace_id, id, kind, last_seq, message_count)
    select '${workspaceId}', ${idIn('conversation', 'n')}, 'direct', ${messages}, ${messages}
    from generate_series(${first}, ${first + count - 1}) n`)
  await pool.query(`insert into participant (workspace_id, conversation_id, person_id, role)
    select '${workspaceId}', ${idIn('conversation', `${first} + n / 2`)}, ${idIn('person', `${firstPerson} + n`)}, 'contact'
    from generate_series(0, ${count * 2 - 1}) n`)
  await seedMessages(pool, {
    sender: idIn('person', `${firstPerson} + 2 * (c - ${first})`),
    from: `generate_series(1, ${messages}) s, generate_series(${first}, ${first + count - 1}) c`,
  })
}

/** The rows `s, c` say which positions of which conversations hold one. */
async function seedMessages(pool: Pool, { sender, from }: { sender: string; from: string }): Promise<void> {
  await pool.query(`insert into message (workspace_id, conversation_id, seq, id, sender_id, sender_role, kind, body,
      visibility, send_key, content_hash, ordinal, note_ordinal)
    select '${workspaceId}', ${idIn('conversation', 'c')}, s, ${idIn('message', '(s::bigint << 16) + c')},
      ${sender}, 'contact', 'text', repeat('Is it still raining there? ', 4), 'everyone',
      gen_random_uuid(), gen_random_uuid(), s, 0
    from ${from}`)
}

/** One conversation of many people. */
export async function seedGroup(
  pool: Pool,
  { conversation, people, firstPerson }: { conversation: number; people: number; firstPerson: number },
): Promise<void> {
  await pool.query(`insert into conversation (workspace_id, id, kind)
    values ('${workspaceId}', '${idOf('conversation', conversation)}', 'group')`)
  await pool.query(`insert into participant (workspace_id, conversation_id, person_id, role)
    select '${workspaceId}', '${idOf('conversation', conversation)}', ${idIn('person', 'n')}, 'contact'
    from generate_series(${firstPerson}, ${firstPerson + people - 1}) n`)
}

/**
 * Conversations of the inbox numbered from 1, each between one contact and the team, with messages by the contact:
 * `inFirst` in the first one, `inEach` in every other. Positions, counts and ordinals as sending them would have left
 * them.
 */
export async function seedHistory(
  pool: Pool,
  {
    contact,
    conversations,
    inFirst,
    inEach,
  }: { contact: number; conversations: number; inFirst: number; inEach: number },
): Promise<void> {
  const held = `case n when 1 then ${inFirst} else ${inEach} end`
  await pool.query(`insert into conversation (workspace_id, id, kind, inbox_id, last_seq, message_count, updated_at, updated_span)
    select '${workspaceId}', ${idIn('conversation', 'n')}, 'support', '${inboxId}', ${held}, ${held},
      now() - n * interval '1 second', span_of(now() - n * interval '1 second')
    from generate_series(1, ${conversations}) n`)
  await pool.query(`insert into participant (workspace_id, conversation_id, person_id, role)
    select '${workspaceId}', ${idIn('conversation', 'n')}, '${idOf('person', contact)}', 'contact'
    from generate_series(1, ${conversations}) n`)
  // In order of position, so that the messages of a conversation lie scattered, as they would have arrived; and in
  // parts, because a statement that takes half a minute is ended.
  const last = Math.max(inFirst, inEach)
  const part = 100_000
  for (let from = 1; from <= last; from += part) {
    const to = Math.min(last, from + part - 1)
    await seedMessages(pool, {
      sender: `'${idOf('person', contact)}'::uuid`,
      from: `generate_series(${from}, ${to}) s,
        lateral generate_series(1, case when s <= ${inEach} then ${conversations} else 1 end) c
        where s <= case c when 1 then ${inFirst} else ${inEach} end`,
    })
  }
}

/** An access token of a person, signed with the secret that the store was seeded with. */
export function tokenOf(person: number): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    sub: idOf('person', person),
    wid: workspaceId,
    sid: idOf('session', person),
    sv: 1,
    aud: 'parley-api',
    iat: now,
    exp: now + 3_600,
  }
  return signed(claims, secret)
}

/** A token of a dialect, whose key is derived from the same secret. */
export function tokenAt(purpose: string, claims: object): string {
  const now = Math.floor(Date.now() / 1000)
  const key = Buffer.from(hkdfSync('sha256', secret, '', purpose, 32))
  return signed({ ...claims, iat: now, exp: now + 3_600 }, key)
}

/** A JWT, signed with HS256. */
export function signed(claims: object, key: Buffer): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}
