import type { InputOf, Participant, ParticipantRole, ResultOf, Role } from '@parley/protocol'
import { sql } from 'kysely'
import { answersOf, asked, gathered } from '../store/gathered.ts'
import type { Db } from '../store/store.ts'
import { requireWritable, standingOf } from './access.ts'
import { visiblePeople } from './acquaintance.ts'
import { type Actor, participantRoleOf } from './actor.ts'
import { audit } from './audit.ts'
import { type Change, type Chat, change } from './chat.ts'
import { Failure, notFound } from './failure.ts'
import { hasGrant } from './grants.ts'
import { handBack } from './handing-back.ts'
import { record } from './log.ts'

/** Everybody who is or was in a conversation, in the order they first came. */
export async function listParticipants(
  chat: Chat,
  actor: Actor,
  { conversationId }: InputOf<'participant.list'>,
): Promise<ResultOf<'participant.list'>> {
  await standingOf(chat.db, actor, conversationId)
  return { participants: await participantsOf(chat.db, actor.workspaceId, conversationId) }
}

/** What a door may ask beyond the API: that an archived conversation can be shown to somebody more. */
export type AddingRules = { intoArchived?: boolean }

/** Brings somebody in, or back. The team may anywhere but in a direct conversation; a member may in a group. */
export async function addParticipant(
  chat: Chat,
  actor: Actor,
  { conversationId, userId }: InputOf<'participant.add'>,
  { intoArchived = false }: AddingRules = {},
): Promise<Participant> {
  return change(chat, async (change) => {
    const standing = await standingOf(change.db, actor, conversationId, { lock: true })
    if (standing.conversation.kind === 'direct') throw new Failure('wrong_state')
    if (!standing.staff && standing.conversation.kind !== 'group') throw new Failure('forbidden')
    if (!intoArchived) requireWritable(standing)
    const person = await change.db
      .selectFrom('person')
      .select(['role'])
      .where('workspace_id', '=', actor.workspaceId)
      .where('id', '=', userId)
      .where('deactivated_at', 'is', null)
      .executeTakeFirstOrThrow(notFound)
    if (!standing.staff && !(await mayBringIn(change.db, actor, userId, person.role))) throw notFound()
    const before = await partOf(change.db, actor, conversationId, userId)
    const participant = await admit(change, actor, conversationId, {
      userId,
      role: participantRoleOf(person.role),
    })
    if (standing.staff && !before) {
      const after = { userId, role: participant.role }
      await auditPart(change.db, actor, conversationId, { action: 'participant.add', after })
    }
    return participant
  })
}

/**
 * A contact brings in only people of the team, and of those whom they know or have a grant for: otherwise ids alone would
 * open conversations with strangers, and tell who works here.
 */
async function mayBringIn(db: Db, actor: Actor, userId: string, role: Role): Promise<boolean> {
  if (role === 'contact') return false
  return (await visiblePeople({ db }, actor, [userId])).length > 0 || hasGrant(db, actor, userId, 'write')
}

/** Takes somebody out: the team, or whoever made the group. Leaving by oneself is `conversation.leave`. */
export async function removeParticipant(
  chat: Chat,
  actor: Actor,
  { conversationId, userId }: InputOf<'participant.remove'>,
): Promise<void> {
  await change(chat, async (change) => {
    const standing = await standingOf(change.db, actor, conversationId, { lock: true })
    if (standing.conversation.kind === 'direct') throw new Failure('wrong_state')
    const ownGroup =
      standing.conversation.kind === 'group' && standing.conversation.created_by === actor.userId
    if (!standing.staff && !ownGroup) throw new Failure('forbidden')
    const before = await partOf(change.db, actor, conversationId, userId)
    if (!(await expel(change, actor, conversationId, userId))) throw notFound()
    if (standing.staff)
      await auditPart(change.db, actor, conversationId, { action: 'participant.remove', before })
  })
}

type Part = { userId: string; role: ParticipantRole }

/** Somebody's part in a conversation now; null for who is not in it. */
async function partOf(db: Db, actor: Actor, conversationId: string, userId: string): Promise<Part | null> {
  const [participant] = await participantsOf(db, actor.workspaceId, conversationId, userId)
  return participant && participant.leftAt === null ? { userId, role: participant.role } : null
}

/** Members of a group invite and put out by being members; what the team does so, it does by its rank. */
function auditPart(
  db: Db,
  actor: Actor,
  conversationId: string,
  act: { action: string; before?: Part | null; after?: Part },
): Promise<void> {
  return audit(db, actor, { targetType: 'conversation', targetId: conversationId, ...act })
}

/** Leaves. */
export async function leaveConversation(
  chat: Chat,
  actor: Actor,
  { conversationId }: InputOf<'conversation.leave'>,
): Promise<void> {
  await change(chat, async (change) => {
    await standingOf(change.db, actor, conversationId, { lock: true })
    if (!(await expel(change, actor, conversationId, actor.userId))) throw notFound()
  })
}

/** The conversations somebody is in now, and as what. */
export const participatingIn = (chat: Chat, { workspaceId, userId }: Actor): Promise<Participation[]> =>
  participations(chat.db, { workspaceId, userId })

const participations = gathered(async (db, people: readonly Pick<Actor, 'workspaceId' | 'userId'>[]) => {
  const { rows } = await sql<Participation & { place: number }>`/* participating */
    select q.place::int, p.conversation_id as "conversationId", p.role
    from ${asked(people, {
      workspace_id: ['uuid', ({ workspaceId }) => workspaceId],
      person_id: ['uuid', ({ userId }) => userId],
    })}
    cross join lateral (
      select p.conversation_id, p.role from participant p
      where p.workspace_id = q.workspace_id and p.person_id = q.person_id and p.left_at is null offset 0) p
    cross join lateral (
      select 1 from conversation c
      where c.workspace_id = q.workspace_id and c.id between p.conversation_id and p.conversation_id and c.deleted_at is null
      order by c.id limit 1) c`.execute(db)
  return answersOf(people.length, rows)
})

export type Participation = { conversationId: string; role: ParticipantRole }

/** `admit` in a transaction of its own, for somebody whose right to come in the caller has checked. */
export async function join(
  chat: Chat,
  actor: Actor,
  conversationId: string,
  who: { userId: string; role: ParticipantRole },
): Promise<Participant> {
  return change(chat, (change) => admit(change, actor, conversationId, who))
}

/**
 * Makes somebody a participant and logs it, unless they are one already. By the clock and not by the transaction's time, so
 * that people who come in together are listed in the order in which they were named.
 */
export async function admit(
  change: Change,
  actor: Pick<Actor, 'workspaceId' | 'userId'>,
  conversationId: string,
  { userId, role }: { userId: string; role: ParticipantRole },
): Promise<Participant> {
  const admitted = await change.db
    .insertInto('participant')
    .values({
      workspace_id: actor.workspaceId,
      conversation_id: conversationId,
      person_id: userId,
      role,
      joined_at: sql`clock_timestamp()`,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['workspace_id', 'conversation_id', 'person_id'])
        .doUpdateSet({
          left_at: null,
          joined_at: sql`clock_timestamp()`,
          role,
          changed_xid: sql`pg_current_xact_id()`,
        })
        .where('participant.left_at', 'is not', null),
    )
    .returning('person_id')
    .executeTakeFirst()
  const [participant] = await participantsOf(change.db, actor.workspaceId, conversationId, userId)
  if (!participant) throw notFound()
  if (admitted) {
    const conversation = { workspaceId: actor.workspaceId, id: conversationId }
    await record(change, conversation, { type: 'participant.joined', actorId: actor.userId, participant })
  }
  return participant
}

/**
 * Makes a participant hand back what they had here and leave, and logs it; false when they were none. They left when the
 * entry says so: whoever applies the log has what a fresh read gives (rule L8). The caller holds the conversation, so
 * nobody else lets them go meanwhile.
 */
export async function expel(
  change: Change,
  actor: Actor,
  conversationId: string,
  userId: string,
): Promise<boolean> {
  if (!(await partOf(change.db, actor, conversationId, userId))) return false
  await handBack(change, actor, userId, { conversationId })
  const conversation = { workspaceId: actor.workspaceId, id: conversationId }
  const { at } = await record(change, conversation, {
    type: 'participant.left',
    actorId: actor.userId,
    userId,
  })
  await change.db
    .updateTable('participant')
    .set({ left_at: at, changed_xid: sql`pg_current_xact_id()` })
    .where('workspace_id', '=', actor.workspaceId)
    .where('conversation_id', '=', conversationId)
    .where('person_id', '=', userId)
    .execute()
  return true
}

/** Who is in each of these conversations now, in the order they came. The caller has checked that they may be seen. */
export async function membersOf(
  db: Db,
  workspaceId: string,
  conversationIds: readonly string[],
): Promise<Map<string, { userId: string; role: ParticipantRole }[]>> {
  const rows = await db
    .selectFrom('participant')
    .select(['conversation_id', 'person_id', 'role'])
    .where('workspace_id', '=', workspaceId)
    .where(sql<boolean>`conversation_id = any (${conversationIds}::uuid[])`)
    .where('left_at', 'is', null)
    .orderBy('joined_at')
    .orderBy('person_id')
    .execute()
  const members = rows.map((row) => ({ ...row, userId: row.person_id }))
  return new Map(
    [...Map.groupBy(members, (member) => member.conversation_id)].map(([id, ofOne]) => [
      id,
      ofOne.map(({ userId, role }) => ({ userId, role })),
    ]),
  )
}

/** Participants with their names, one of them when `userId` is given. */
export async function participantsOf(
  db: Db,
  workspaceId: string,
  conversationId: string,
  userId?: string,
): Promise<Participant[]> {
  const rows = await db
    .selectFrom('participant as p')
    .innerJoin('person as s', (join) =>
      join.onRef('s.workspace_id', '=', 'p.workspace_id').onRef('s.id', '=', 'p.person_id'),
    )
    .select(['p.person_id', 's.name', 's.avatar_url', 'p.role', 'p.joined_at', 'p.left_at'])
    .where('p.workspace_id', '=', workspaceId)
    .where('p.conversation_id', '=', conversationId)
    .$if(userId !== undefined, (query) => query.where('p.person_id', '=', userId ?? ''))
    .orderBy('p.joined_at')
    .orderBy('p.person_id')
    .execute()
  return rows.map((row) => ({
    userId: row.person_id,
    name: row.name,
    avatarUrl: row.avatar_url,
    role: row.role,
    joinedAt: row.joined_at,
    leftAt: row.left_at,
  }))
}
