import type { LogEvent, Participant, Visibility } from '@parley/protocol'
import { sql } from 'kysely'
import { answersOf, asked, gathered } from '../store/gathered.ts'
import type { Db } from '../store/store.ts'
import type { Change, LoggedEntry } from './chat.ts'
import { notFound } from './failure.ts'
import { type ShownRow, shownColumns, viewMessages } from './message-view.ts'

/**
 * What is stored of an entry that is not a message. Content stays with its message, so erasing it there is enough; what else
 * somebody wrote, `eraseConversation` takes out.
 */
export type EventData =
  | { type: 'conversation.created' }
  | { type: 'conversation.updated'; changes: Extract<LogEvent, { type: 'conversation.updated' }>['changes'] }
  | { type: 'conversation.deleted' }
  | { type: 'participant.joined'; participant: Participant }
  | { type: 'participant.left'; userId: string }
  | { type: 'message.edited'; messageId: string; body: string }
  | { type: 'message.retracted'; messageId: string }
  | { type: 'message.reacted'; messageId: string; userId: string; emoji: string; removed: boolean }

export type Recording = { actorId: string | null; visibility?: Visibility } & EventData

/**
 * Takes the next seq of a conversation and writes an entry there, in the caller's transaction; announced when that
 * commits. The update locks the row, so numbers come out dense and in order of commit.
 */
export async function record(
  change: Change,
  { workspaceId, id }: { workspaceId: string; id: string },
  entry: Recording,
): Promise<LogEvent> {
  const [event] = await recordInEach(change, workspaceId, [id], entry)
  if (!event) throw notFound()
  return event
}

/** The same entry in several conversations, which the caller has locked. */
export async function recordInEach(
  change: Change,
  workspaceId: string,
  conversationIds: readonly string[],
  { actorId, visibility = 'everyone', ...entry }: Recording,
): Promise<LogEvent[]> {
  if (conversationIds.length === 0) return []
  const taken = await takeSeqs(change, workspaceId, conversationIds)
  const { type, ...data } = entry
  const { body: _content, ...stored } = { body: '', ...data }
  await sql`insert into event (workspace_id, conversation_id, seq, type, actor_id, visibility, data, created_at)
    select ${workspaceId}, k.id, k.seq, ${type}, ${actorId}, ${visibility}, ${JSON.stringify(stored)}::jsonb, k.at
    from unnest(${taken.map(({ id }) => id)}::uuid[], ${taken.map((one) => one.last_seq)}::int[],
      ${taken.map((one) => one.updated_at)}::timestamptz[]) as k (id, seq, at)`.execute(change.db)
  return taken.map(({ id, last_seq: seq, inbox_id: inboxId, updated_at: at }) => {
    const event = { conversationId: id, seq, at, actorId, ...entry } as LogEvent
    const entries = [{ event, visibility }]
    change.announce({ type: 'logged', workspaceId, conversationId: id, inboxId, seq, entries })
    return event
  })
}

/** The next number of a conversation's log, for whoever writes the entry in the same transaction. */
export async function takeSeq(change: Change, { workspaceId, id }: { workspaceId: string; id: string }) {
  const [taken] = await takeSeqs(change, workspaceId, [id])
  if (!taken) throw notFound()
  return taken
}

function takeSeqs({ db }: Change, workspaceId: string, conversationIds: readonly string[]) {
  return db
    .updateTable('conversation')
    .set({
      last_seq: sql`last_seq + 1`,
      updated_at: sql`date_trunc('milliseconds', clock_timestamp())`,
      updated_span: sql`span_of(clock_timestamp())`,
      changed_xid: sql`pg_current_xact_id()`,
      changed_span: sql`span_of(pg_current_xact_id())`,
    })
    .where('workspace_id', '=', workspaceId)
    .where('id', 'in', conversationIds)
    .returning(['id', 'last_seq', 'inbox_id', 'updated_at', 'message_count', 'note_count'])
    .execute()
}

export type LogPage = {
  entries: LoggedEntry[]
  /** The position this page reaches, whether or not its last entries are visible to the reader. */
  upTo: number
  lastSeq: number
}

/**
 * Reads the log after a position, in order, notes and all; the caller leaves out what its reader may not see. Since
 * numbering is dense, the page is a range of numbers in both tables, read by one statement and in one snapshot: two
 * statements could show entry 9 without entry 8.
 */
export async function readLog(
  db: Db,
  conversation: { workspaceId: string; id: string },
  after: number,
  limit: number,
): Promise<LogPage> {
  const rows = await rowsOf(db, { ...conversation, after, upTo: after + limit })
  const lastSeq = rows[0]?.last_seq ?? 0
  const messages = await viewMessages(
    db,
    rows.filter((row): row is typeof row & ShownRow => row.id !== null),
  )
  const byId = new Map(messages.map((message) => [message.id, message]))
  const bodies = await editedBodies(db, conversation.workspaceId, rows)
  const entries = rows.flatMap((row, place): LoggedEntry[] => {
    if (row.position === null) return []
    if (row.position !== after + 1 + place)
      throw new Error(`The log of ${conversation.id} has a hole at ${after + 1 + place}`)
    const logged = { conversationId: conversation.id, seq: row.position }
    const message = row.id && byId.get(row.id)
    if (message) {
      const event: LogEvent = {
        type: 'message.created',
        ...logged,
        at: message.createdAt,
        actorId: message.senderId,
        message,
      }
      return [{ event, visibility: message.visibility }]
    }
    if (!row.type || !row.event_at)
      throw new Error(`The log of ${conversation.id} has nothing at ${row.position}`)
    const content =
      row.type === 'message.edited' ? { body: bodies.get(String(row.data?.messageId)) ?? '' } : {}
    const event = {
      type: row.type,
      ...logged,
      at: row.event_at,
      actorId: row.actor_id,
      ...row.data,
      ...content,
    } as LogEvent
    return [{ event, visibility: row.event_visibility ?? 'everyone' }]
  })
  return { entries, upTo: Math.max(after, entries.at(-1)?.event.seq ?? 0), lastSeq }
}

type LogRow = { last_seq: number; position: number | null } & (ShownRow | { id: null }) & {
    type: string | null
    data: Record<string, unknown> | null
    actor_id: string | null
    event_visibility: Visibility | null
    event_at: string | null
  }

type Stretch = { workspaceId: string; id: string; after: number; upTo: number }

/**
 * At least one, if there is such a conversation: it says how long the log is, even if nothing comes after. Few pages at once,
 * for each may be two hundred messages of 32 KiB.
 */
const rowsOf = gathered(
  async (db, stretches: readonly Stretch[]) => {
    const page = sql`workspace_id = q.workspace_id and conversation_id = q.conversation_id and seq > q.after and seq <= q.up_to`
    const { rows } = await sql<LogRow & { place: number }>`/* log */ select q.place::int, c.last_seq, l.*
      from ${asked(stretches, {
        workspace_id: ['uuid', ({ workspaceId }) => workspaceId],
        conversation_id: ['uuid', ({ id }) => id],
        after: ['bigint', ({ after }) => after],
        up_to: ['bigint', ({ upTo }) => upTo],
      })}
      cross join lateral (
        select c.last_seq from conversation c
        where c.workspace_id = q.workspace_id and c.id between q.conversation_id and q.conversation_id
        order by c.id limit 1) c
      left join lateral (
        select seq as position, ${shownColumns}, e.type, e.data, e.actor_id, e.visibility as event_visibility,
          e.created_at as event_at
        from (select ${shownColumns} from message m where ${page}) m
        full join (select seq, type, data, actor_id, visibility, created_at from event where ${page}) e using (seq)
      ) l on true
      order by q.place, l.position`.execute(db)
    return answersOf(stretches.length, rows)
  },
  { most: 16 },
)

/** An edit is told with the text as it is now: replaying it ends in the same state, and nothing retracted comes back. */
async function editedBodies(
  db: Db,
  workspaceId: string,
  rows: { type: string | null; data: Record<string, unknown> | null }[],
): Promise<Map<string, string>> {
  const ids = rows.filter((row) => row.type === 'message.edited').map((row) => String(row.data?.messageId))
  if (ids.length === 0) return new Map()
  const found = await db
    .selectFrom('message')
    .select(['id', 'body'])
    .where('workspace_id', '=', workspaceId)
    .where('id', 'in', ids)
    .execute()
  return new Map(found.map((row) => [row.id, row.body]))
}
