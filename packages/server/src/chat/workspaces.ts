import { randomUUIDv7 } from 'node:crypto'
import type { InputOf, RegistrationMode, ResultOf, Workspace } from '@parley/protocol'
import type { Selectable } from 'kysely'
import type { Db, Tables } from '../store/store.ts'
import type { Actor } from './actor.ts'
import { audit } from './audit.ts'
import { type Chat, change } from './chat.ts'
import { refusingDuplicates } from './conflicts.ts'
import { Failure, notFound } from './failure.ts'
import { writeInvitation } from './invitations.ts'

export type WorkspaceRow = Selectable<Tables['workspace']>

export async function getWorkspace(chat: Chat, actor: Actor): Promise<Workspace> {
  return viewWorkspace(chat, await workspaceById(chat.db, actor.workspaceId))
}

/** Renames the workspace, or changes how people register. */
export async function updateWorkspace(
  chat: Chat,
  actor: Actor,
  { name, registration }: InputOf<'workspace.update'>,
): Promise<Workspace> {
  if (name === undefined && registration === undefined) return getWorkspace(chat, actor)
  return change(chat, async ({ db }) => {
    const before = await workspaceById(db, actor.workspaceId)
    const after = await db
      .updateTable('workspace')
      .set({ name, registration })
      .where('id', '=', actor.workspaceId)
      .returningAll()
      .executeTakeFirstOrThrow(notFound)
    await audit(db, actor, {
      action: 'workspace.update',
      targetType: 'workspace',
      targetId: actor.workspaceId,
      before: { name: before.name, registration: before.registration },
      after: { name: after.name, registration: after.registration },
    })
    return viewWorkspace(chat, after)
  })
}

/** Makes another workspace, empty but for an invitation for its owner. Owners of the first one may. */
export async function createWorkspace(
  chat: Chat,
  actor: Actor,
  { name, slug }: InputOf<'workspace.create'>,
): Promise<ResultOf<'workspace.create'>> {
  return refusingDuplicates(() =>
    change(chat, async ({ db }) => {
      const first = await findWorkspace(db)
      if (actor.role !== 'owner' || actor.workspaceId !== first.id) throw new Failure('forbidden')
      const workspace = await db
        .insertInto('workspace')
        .values({ id: randomUUIDv7(), slug, name })
        .returningAll()
        .executeTakeFirstOrThrow()
      const { token } = await writeInvitation(db, {
        workspaceId: workspace.id,
        role: 'owner',
        createdBy: null,
      })
      await audit(db, actor, {
        action: 'workspace.create',
        targetType: 'workspace',
        targetId: workspace.id,
        after: { name, slug },
      })
      return { workspace: viewWorkspace(chat, workspace), ownerInvitation: token }
    }),
  )
}

/** The workspace of this slug, or the first one of the server. */
export async function findWorkspace(db: Db, slug?: string): Promise<WorkspaceRow> {
  return db
    .selectFrom('workspace')
    .selectAll()
    .$if(slug !== undefined, (query) => query.where('slug', '=', slug ?? ''))
    .orderBy('created_at')
    .orderBy('id')
    .limit(1)
    .executeTakeFirstOrThrow(notFound)
}

export async function workspaceById(db: Db, id: string): Promise<WorkspaceRow> {
  return db.selectFrom('workspace').selectAll().where('id', '=', id).executeTakeFirstOrThrow(notFound)
}

export const viewWorkspace = (chat: Chat, row: WorkspaceRow): Workspace => ({
  id: row.id,
  slug: row.slug,
  name: row.name,
  registration: registrationMode(chat, row),
  createdAt: row.created_at,
})

/** `open_demo` is a flag of the process, for every workspace, and nothing that is stored can turn it on. */
export function registrationMode(chat: Chat, { registration }: WorkspaceRow): RegistrationMode {
  if (chat.config.demo) return 'open_demo'
  return registration === 'open_demo' ? 'customer_only' : registration
}
