import type { Message, MessageKind, Visibility } from '@parley/protocol'
import type { Pool } from 'pg'
import { within } from './deadline.ts'

/** A message that wants to be written. `sendKey` and `contentHash` are half SHA-256 digests in hexadecimal. */
export type Draft = {
  workspaceId: string
  conversationId: string
  id: string
  senderId: string
  kind: MessageKind
  body: string
  visibility: Visibility
  replyToId: string | null
  metadata: string | null
  clientMessageId: string
  sendKey: string
  contentHash: string
  attachmentIds: readonly string[]
}

/** `message` is as everybody sees it, but for its files. */
type Written = { verdict: 'written'; message: Message; inboxId: string | null }
type Repeat = { verdict: 'repeat'; id: string }
type Refused = {
  verdict:
    | 'conflict'
    | 'missing'
    | 'closed'
    | 'archived'
    | 'outsider'
    | 'no_grant'
    | 'bad_reply'
    | 'bad_attachment'
}
export type Outcome = Written | Repeat | Refused
export type WrittenDraft = { draft: Draft; outcome: Written }

/**
 * Writes drafts by one commit and says what became of each, in their order. No two may share a send key. `dueAt`
 * (`performance.now()`) is when an answer comes too late. Nearly always all of them may be written; only if one may not,
 * or is there already, each is judged.
 */
export async function writeBatch(pool: Pool, drafts: readonly Draft[], dueAt: number): Promise<Outcome[]> {
  if (drafts.some((draft) => draft.attachmentIds.length > 0)) return appendEach(pool, drafts, dueAt)
  try {
    return await appendAll(pool, drafts, dueAt)
  } catch (error) {
    if (!isRefused(error)) throw error
    return appendEach(pool, drafts, dueAt)
  }
}

type Row = { message_seq: number; role: Message['senderRole']; at: string; inbox: string | null }

async function appendAll(pool: Pool, drafts: readonly Draft[], dueAt: number): Promise<Outcome[]> {
  const { totals, after } = countOf(drafts)
  const rows = await ask<Row>(pool, dueAt, 'append_all', 'message_seq, role, at, inbox', [
    plain(totals, (total) => total.workspaceId),
    plain(totals, (total) => total.conversationId),
    plain(totals, (total) => total.seqs),
    plain(totals, (total) => total.ordinals),
    plain(totals, (total) => total.notes),
    ...columnsOf(drafts),
    plain(after, (count) => count.seqs),
    plain(after, (count) => count.ordinals),
    plain(after, (count) => count.notes),
  ])
  return drafts.map((draft, item) => {
    const row = rows[item]
    if (!row) throw new Error(`The store wrote ${rows.length} of ${drafts.length} messages`)
    return writtenOf(draft, row)
  })
}

type Count = { seqs: number; ordinals: number; notes: number }
type Total = Count & { workspaceId: string; conversationId: string }

/** What the drafts add to each conversation, in the order of its lock, and what of that comes after each draft. */
function countOf(drafts: readonly Draft[]): { totals: Total[]; after: Count[] } {
  const byConversation = new Map<string, Total>()
  const after: Count[] = []
  for (const { workspaceId, conversationId, visibility, kind } of drafts.toReversed()) {
    const total = byConversation.get(conversationId) ?? {
      workspaceId,
      conversationId,
      seqs: 0,
      ordinals: 0,
      notes: 0,
    }
    byConversation.set(conversationId, total)
    after.push({ seqs: total.seqs, ordinals: total.ordinals, notes: total.notes })
    total.seqs++
    if (visibility === 'agents') total.notes++
    else if (kind !== 'system') total.ordinals++
  }
  return { totals: [...byConversation.values()].sort(byLock), after: after.reverse() }
}

/** Ids in lower case are in the same order as text and as the `uuid` by which `append_each` locks. */
const byLock = (a: Total, b: Total) =>
  compare(a.workspaceId, b.workspaceId) || compare(a.conversationId, b.conversationId)
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

type JudgedRow = Row & { outcome: Outcome['verdict']; message_id: string }

async function appendEach(pool: Pool, drafts: readonly Draft[], dueAt: number): Promise<Outcome[]> {
  const rows = await ask<JudgedRow>(
    pool,
    dueAt,
    'append_each',
    'outcome, message_id, message_seq, role, at, inbox',
    [
      ...columnsOf(drafts),
      drafts.map(({ attachmentIds }) => (attachmentIds.length > 0 ? JSON.stringify(attachmentIds) : null)),
    ],
  )
  return drafts.map((draft, item) => {
    const row = rows[item]
    if (!row) throw new Error(`The store judged ${rows.length} of ${drafts.length} messages`)
    if (row.outcome === 'written') return writtenOf(draft, row)
    return row.outcome === 'repeat' ? { verdict: 'repeat', id: row.message_id } : { verdict: row.outcome }
  })
}

const writtenOf = (draft: Draft, { message_seq, role, at, inbox }: Row): Written => ({
  verdict: 'written',
  inboxId: inbox,
  message: {
    id: draft.id,
    conversationId: draft.conversationId,
    seq: message_seq,
    senderId: draft.senderId,
    senderRole: role,
    clientMessageId: draft.clientMessageId,
    kind: draft.kind,
    body: draft.body,
    visibility: draft.visibility,
    replyToId: draft.replyToId,
    metadata: draft.metadata ? JSON.parse(draft.metadata) : {},
    attachments: [],
    reactions: [],
    createdAt: at,
    editedAt: null,
    retractedAt: null,
  },
})

const columnsOf = (drafts: readonly Draft[]) => [
  plain(drafts, (draft) => draft.workspaceId),
  plain(drafts, (draft) => draft.conversationId),
  plain(drafts, (draft) => draft.id),
  plain(drafts, (draft) => draft.senderId),
  plain(drafts, (draft) => draft.kind),
  drafts.map((draft) => draft.body),
  plain(drafts, (draft) => draft.visibility),
  plain(drafts, (draft) => draft.replyToId),
  drafts.map((draft) => draft.metadata),
  drafts.map((draft) => draft.clientMessageId),
  plain(drafts, (draft) => draft.sendKey),
  plain(drafts, (draft) => draft.contentHash),
]

/** An array of PostgreSQL. Ids, numbers and words of ours need no escaping, for which the driver would look into each. */
const plain = <T>(items: readonly T[], pick: (item: T) => string | number | null) =>
  `{${items.map((item) => pick(item) ?? 'null').join()}}`

/** Getting a connection and getting an answer share the time there is. Until there is one, nothing was asked. */
async function ask<R extends Row>(
  pool: Pool,
  dueAt: number,
  name: string,
  columns: string,
  values: unknown[],
): Promise<R[]> {
  const left = () => Math.max(1, dueAt - performance.now())
  const connecting = pool.connect()
  const client = await within(left(), connecting).catch((error: unknown) => {
    connecting.then((late) => late.release()).catch(() => {})
    throw error
  })
  const text = `select ${columns} from ${name}(${values.map((_, i) => `$${i + 1}`).join()})`
  const query = { name, text, values }
  try {
    const { rows } = await client.query<R>({ ...query, query_timeout: left() } as typeof query)
    client.release()
    return rows
  } catch (error) {
    // A refusal leaves the connection as it was; whatever else happened, nobody knows what it still says.
    client.release(isRefused(error) ? undefined : true)
    throw error
  }
}

/**
 * The store refused a batch as a whole, and is fine: for its data or a key that is there (SQLSTATE classes 22 and 23), for
 * locks that others hold the other way round (40), or because not everybody may write (`append_all` says PLY01).
 */
export const isRefused = (error: unknown) =>
  error instanceof Error &&
  'code' in error &&
  typeof error.code === 'string' &&
  /^(2[23]|40|PLY01)/.test(error.code)
