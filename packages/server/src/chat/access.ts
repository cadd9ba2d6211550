import type { ParticipantRole, Visibility } from '@parley/protocol'
import { type Selectable, sql } from 'kysely'
import { answersOf, asked, gathered } from '../store/gathered.ts'
import type { Db, Tables } from '../store/store.ts'
import { type Actor, isAdmin, isStaff } from './actor.ts'
import { Failure, notFound } from './failure.ts'

const columns = [
  'id',
  'workspace_id',
  'kind',
  'inbox_id',
  'topic',
  'status',
  'subject',
  'priority',
  'metadata',
  'assignee_id',
  'created_by',
  'grant_required',
  'last_seq',
  'message_count',
  'created_at',
  'updated_at',
  'closed_at',
] as const satisfies (keyof Selectable<Tables['conversation']>)[]
/** What is looked up of a conversation. */
export type ConversationRow = Pick<Selectable<Tables['conversation']>, (typeof columns)[number]>
/** The same of a conversation `c`, for a statement. */
export const conversationColumns = sql.raw(columns.map((column) => `c.${column}`).join(', '))

/** How somebody stands to one conversation. Having one means that they may read it. */
export type Standing = {
  conversation: ConversationRow
  /** Present only while they take part. */
  participant: { role: ParticipantRole } | null
  /** They may act for the team here: assign, close, write notes. */
  staff: boolean
  /** Which entries they see. */
  sees: Visibility
}

/**
 * The one rule of who may see a conversation: whoever takes part in it, the team of its inbox, and admins. Everybody
 * else is told that there is nothing here, whether or not there is (promise G21). Ids are handles, never permissions.
 * With `lock`, the conversation stays as it is until the transaction ends.
 */
export async function standingOf(
  db: Db,
  actor: Actor,
  conversationId: string,
  { lock = false }: { lock?: boolean } = {},
): Promise<Standing> {
  // A statement of its own: one that waits for the lock and then reads would not see who left meanwhile.
  if (lock) await lockConversation(db, actor.workspaceId, conversationId)
  const row = await placeIn(db, { workspaceId: actor.workspaceId, userId: actor.userId, conversationId })
  if (!row) throw notFound()
  const { role, place: _, ...conversation } = row
  const staff = worksIn(actor, conversation.inbox_id, role)
  if (!role && !staff) throw notFound()
  return { conversation, participant: role && { role }, staff, sees: staff ? 'agents' : 'everyone' }
}

type Place = Pick<Actor, 'workspaceId' | 'userId'> & { conversationId: string }

const placeIn = gathered(async (db, places: readonly Place[]) => {
  const { rows } = await sql<ConversationRow & { role: ParticipantRole | null; place: number }>`/* standing */
    select q.place::int, p.role, ${conversationColumns}
    from ${asked(places, {
      workspace_id: ['uuid', ({ workspaceId }) => workspaceId],
      conversation_id: ['uuid', ({ conversationId }) => conversationId],
      person_id: ['uuid', ({ userId }) => userId],
    })}
    cross join lateral (
      select ${conversationColumns} from conversation c
      where c.workspace_id = q.workspace_id and c.id between q.conversation_id and q.conversation_id and c.deleted_at is null
      order by c.id limit 1) c
    left join lateral (
      select p.role from participant p
      where p.workspace_id = q.workspace_id and p.conversation_id = q.conversation_id
        and p.person_id between q.person_id and q.person_id and p.left_at is null
      order by p.person_id limit 1) p on true`.execute(db)
  return answersOf(places.length, rows).map(([row]) => row)
})

const lockConversation = (db: Db, workspaceId: string, conversationId: string) =>
  sql`/* lock_conversation */ select 1 from conversation
    where workspace_id = ${workspaceId} and id = ${conversationId} for no key update`.execute(db)

/** The same for an act of the team: whoever may only see the conversation is told that this is not theirs to do. */
export async function requireStaff(db: Db, actor: Actor, conversationId: string): Promise<Standing> {
  const standing = await standingOf(db, actor, conversationId, { lock: true })
  if (!standing.staff) throw new Failure('forbidden')
  return standing
}

/** What is archived can be read, and not written to before it is opened again. */
export function requireWritable({ conversation }: Pick<Standing, 'conversation'>): void {
  if (conversation.status === 'archived') throw new Failure('conversation_archived')
}

/** Whether there is such a conversation at all, for doors that have to tell "not yours" from "not there". */
export async function isConversation(db: Db, workspaceId: string, conversationId: string): Promise<boolean> {
  const found = await db
    .selectFrom('conversation')
    .select('id')
    .where('workspace_id', '=', workspaceId)
    .where('id', '=', conversationId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  return found !== undefined
}

/**
 * Whether somebody acts for the team in a conversation, and sees its notes: admins everywhere; the rest of the team in
 * their inboxes and wherever they were brought in as agents, but not where they are the one who asks. As SQL: `seesNotes`.
 */
export function worksIn(actor: Actor, inboxId: string | null, place: ParticipantRole | null): boolean {
  if (!isStaff(actor)) return false
  if (isAdmin(actor) || place === 'agent') return true
  return inboxId !== null && actor.inboxIds.includes(inboxId)
}

/** Who opened a conversation, for a door where knowing its secret name is the proof of being them. */
export async function openerOf(db: Db, workspaceId: string, conversationId: string): Promise<string> {
  const row = await db
    .selectFrom('conversation')
    .select('created_by')
    .where('workspace_id', '=', workspaceId)
    .where('id', '=', conversationId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  if (!row?.created_by) throw notFound()
  return row.created_by
}
