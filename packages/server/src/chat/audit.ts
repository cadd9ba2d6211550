import { randomUUIDv7 } from 'node:crypto'
import type { Db } from '../store/store.ts'
import type { Actor } from './actor.ts'

export type PrivilegedAct = {
  action: string
  targetType: string
  targetId: string | null
  before?: unknown
  after?: unknown
}

/** Writes one line of the append-only audit log, in the transaction of the act itself. Never pass secrets. */
export async function audit(
  db: Db,
  actor: Pick<Actor, 'workspaceId' | 'address'> & { userId: string | null },
  act: PrivilegedAct,
): Promise<void> {
  await db
    .insertInto('audit_entry')
    .values({
      workspace_id: actor.workspaceId,
      id: randomUUIDv7(),
      actor_id: actor.userId,
      action: act.action,
      target_type: act.targetType,
      target_id: act.targetId,
      before: act.before === undefined ? null : JSON.stringify(act.before),
      after: act.after === undefined ? null : JSON.stringify(act.after),
      address: actor.address,
    })
    .execute()
}
