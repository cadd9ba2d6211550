import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { sql } from 'kysely'
import type { Db } from '../store/store.ts'
import { audit } from './audit.ts'
import type { Change, Chat } from './chat.ts'
import { touch } from './inbox-members.ts'
import type { PersonRow } from './user-view.ts'

/** An agent, and the supervisor whose team they work in: a team is an inbox that somebody leads. */
export type TeamMember = { userId: string; name: string; email: string | null; supervisorId: string | null }

/** The team that a supervisor leads: an inbox in which they have that role, made when there is none yet. */
export async function teamOf(
  change: Change,
  supervisor: Pick<PersonRow, 'workspace_id' | 'id' | 'name'>,
): Promise<string> {
  // Held until the end of the transaction: two who ask at once must not make two.
  await change.db
    .selectFrom('person')
    .select('id')
    .where('workspace_id', '=', supervisor.workspace_id)
    .where('id', '=', supervisor.id)
    .forNoKeyUpdate()
    .execute()
  const team = await findTeam(change.db, supervisor.workspace_id, supervisor.id)
  return team ?? makeTeam(change, supervisor)
}

/** The inbox that somebody leads, the first of several. */
export async function findTeam(db: Db, workspaceId: string, supervisorId: string): Promise<string | null> {
  const row = await db
    .selectFrom('inbox_member')
    .select('inbox_id')
    .where('workspace_id', '=', workspaceId)
    .where('person_id', '=', supervisorId)
    .where('role', '=', 'supervisor')
    .orderBy('added_at')
    .orderBy('inbox_id')
    .limit(1)
    .executeTakeFirst()
  return row?.inbox_id ?? null
}

async function makeTeam(
  { db, announce }: Change,
  supervisor: Pick<PersonRow, 'workspace_id' | 'id' | 'name'>,
): Promise<string> {
  const { workspace_id, id } = supervisor
  const inboxId = randomUUIDv7()
  await db
    .insertInto('inbox')
    .values({
      workspace_id,
      id: inboxId,
      name: supervisor.name,
      kind: 'supervisor',
      widget_key: randomBytes(16).toString('base64url'),
    })
    .execute()
  await putMember(db, supervisor, inboxId, 'supervisor')
  await touch(db, workspace_id, id)
  announce({ type: 'access', workspaceId: workspace_id, userIds: [id] })
  await audit(
    db,
    { workspaceId: workspace_id, userId: id, address: null },
    {
      action: 'inbox.create',
      targetType: 'inbox',
      targetId: inboxId,
      after: { kind: 'supervisor', supervisorId: id },
    },
  )
  return inboxId
}

/** Somebody of the team begins to work in a supervisor's team. */
export async function joinTeam(
  change: Change,
  person: PersonRow,
  supervisor: Pick<PersonRow, 'workspace_id' | 'id' | 'name'>,
): Promise<void> {
  await putMember(change.db, person, await teamOf(change, supervisor), 'member')
}

async function putMember(
  db: Db,
  person: Pick<PersonRow, 'workspace_id' | 'id'>,
  inboxId: string,
  role: 'member' | 'supervisor',
): Promise<void> {
  await db
    .insertInto('inbox_member')
    .values({ workspace_id: person.workspace_id, inbox_id: inboxId, person_id: person.id, role })
    .execute()
}

/** Everybody who can lead a team. */
export async function listSupervisors(
  chat: Chat,
  workspaceId: string,
): Promise<{ userId: string; name: string }[]> {
  return chat.db
    .selectFrom('person')
    .select(['id as userId', 'name'])
    .where('workspace_id', '=', workspaceId)
    .where('role', '=', 'supervisor')
    .where('deactivated_at', 'is', null)
    .orderBy('id')
    .execute()
}

/** Agents with the supervisor whose team they work in: of one supervisor, or all there are. */
export async function listTeamMembers(
  chat: Chat,
  workspaceId: string,
  { supervisorId = null }: { supervisorId?: string | null } = {},
): Promise<TeamMember[]> {
  const { rows } = await sql<TeamMember>`
    select a.id as "userId", a.name, a.email, l.leader as "supervisorId"
    from person a
    left join lateral (${leaderOf('a')}) l on true
    where a.workspace_id = ${workspaceId} and a.role = 'agent' and a.deactivated_at is null
      and (${supervisorId}::uuid is null or exists (${worksFor('a', sql`${supervisorId}::uuid`)}))
    order by a.id`.execute(chat.db)
  return supervisorId === null ? rows : rows.map((row) => ({ ...row, supervisorId }))
}

/** Whether an agent works in a team that the supervisor leads. */
export async function isInTeam(
  chat: Chat,
  workspaceId: string,
  { supervisorId, userId }: { supervisorId: string; userId: string },
): Promise<boolean> {
  const { rows } = await sql`
    select 1 from person a where a.workspace_id = ${workspaceId} and a.id = ${userId}
      and exists (${worksFor('a', sql`${supervisorId}::uuid`)})`.execute(chat.db)
  return rows.length > 0
}

export type TeamCount = { supervisorId: string; name: string; agents: number; handled: number }

/** Of each supervisor: agents now, and conversations closed by those who are their agents now. */
export async function countByTeam(chat: Chat, workspaceId: string): Promise<TeamCount[]> {
  const { rows } = await sql<TeamCount>`
    with team as (
      select distinct lead.person_id as supervisor_id, a.id as agent_id
      from inbox_member lead
      join inbox_member m on m.workspace_id = lead.workspace_id and m.inbox_id = lead.inbox_id
      join person a on a.workspace_id = m.workspace_id and a.id = m.person_id
        and a.role = 'agent' and a.deactivated_at is null
      where lead.workspace_id = ${workspaceId} and lead.role = 'supervisor'
    ), closed as (
      select c.assignee_id as agent_id, count(*) as conversations from conversation c
      where c.workspace_id = ${workspaceId} and c.assignee_id is not null and c.deleted_at is null
        and c.status in ('closed', 'archived') group by 1
    )
    select s.id as "supervisorId", s.name, count(t.agent_id)::int as agents,
      coalesce(sum(k.conversations), 0)::int as handled
    from person s
    left join team t on t.supervisor_id = s.id
    left join closed k on k.agent_id = t.agent_id
    where s.workspace_id = ${workspaceId} and s.role = 'supervisor' and s.deactivated_at is null
    group by s.id, s.name order by s.id`.execute(chat.db)
  return rows
}

const worksFor = (agent: string, supervisorId: ReturnType<typeof sql>) => sql`
  select 1 from inbox_member m join inbox_member lead on lead.workspace_id = m.workspace_id
    and lead.inbox_id = m.inbox_id and lead.role = 'supervisor' and lead.person_id = ${supervisorId}
  where m.workspace_id = ${sql.ref(`${agent}.workspace_id`)} and m.person_id = ${sql.ref(`${agent}.id`)}`

const leaderOf = (agent: string) => sql`
  select lead.person_id as leader from inbox_member m join inbox_member lead on lead.workspace_id = m.workspace_id
    and lead.inbox_id = m.inbox_id and lead.role = 'supervisor'
  where m.workspace_id = ${sql.ref(`${agent}.workspace_id`)} and m.person_id = ${sql.ref(`${agent}.id`)}
  order by m.added_at, lead.person_id limit 1`
