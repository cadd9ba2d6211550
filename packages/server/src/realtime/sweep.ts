import { sql } from 'kysely'
import type { Chat } from '../chat/chat.ts'
import { receiptsOf } from '../chat/receipts.ts'
import { forget } from '../chat/sessions.ts'
import { changedSince, cursorAt } from '../chat/summaries.ts'
import type { Hub } from './hub.ts'

const everyMs = 2_000

/**
 * Finds the hint that got lost. Every two seconds it asks the store, for the workspaces that somebody here listens to,
 * what was written by transactions that the last look had not seen, and hands it to the hub, which knows what it has
 * told. It also knows how far everybody has been told: that is the cursor in heartbeats.
 */
export class Sweep {
  readonly #chat: Chat
  readonly #hub: Hub
  readonly #onError: (error: unknown) => void
  #horizon = '0'
  #told = '0'
  #telling: Promise<unknown> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(chat: Chat, hub: Hub, onError: (error: unknown) => void) {
    this.#chat = chat
    this.#hub = hub
    this.#onError = onError
  }

  /** The list position up to which every listener on this node has been told, what earlier looks found included. */
  get cursor(): string {
    return cursorAt(this.#chat, this.#told)
  }

  async start(): Promise<void> {
    const { rows } = await sql<{
      horizon: string
    }>`select pg_snapshot_xmin(pg_current_snapshot())::text as horizon`.execute(this.#chat.db)
    this.#horizon = rows[0]?.horizon ?? '0'
    this.#told = this.#horizon
    this.#next()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** One look. Public so that a test can ask for it. */
  async look(): Promise<void> {
    const workspaces = this.#hub.workspaces()
    const since = this.#horizon
    const { rows } = await sql<{
      horizon: string
    }>`select pg_snapshot_xmin(pg_current_snapshot())::text as horizon`.execute(this.#chat.db)
    const telling: Promise<void>[] = []
    if (workspaces.length > 0) {
      telling.push(...(await this.#conversations(workspaces, since)))
      await this.#receipts(workspaces, since)
      const people = await this.#people(workspaces, since)
      forget(this.#chat, people)
      telling.push(this.#hub.recheck(people))
    }
    this.#hub.tidy(60_000)
    const horizon = rows[0]?.horizon ?? since
    this.#horizon = horizon
    this.#telling = Promise.all([this.#telling, ...telling]).then(() => {
      this.#told = horizon
    }, this.#onError)
  }

  #next(): void {
    this.#timer = setTimeout(async () => {
      await this.look().catch((error: unknown) => {
        if (!this.#stopped) this.#onError(error)
      })
      // Stopped while it looked: another timer would keep the process alive for ever.
      if (!this.#stopped) this.#next()
    }, everyMs)
  }

  async #conversations(workspaces: string[], since: string): Promise<Promise<void>[]> {
    const rows = await this.#chat.db
      .selectFrom('conversation')
      .select(['workspace_id', 'id', 'inbox_id', 'last_seq'])
      .where('workspace_id', 'in', workspaces)
      .where(changedSince(since))
      .execute()
    return rows.map((row) =>
      this.#hub.reached({ workspaceId: row.workspace_id, id: row.id, inboxId: row.inbox_id }, row.last_seq),
    )
  }

  async #receipts(workspaces: string[], since: string): Promise<void> {
    const rows = await this.#chat.db
      .selectFrom('receipt as r')
      .innerJoin('conversation as c', (join) =>
        join.onRef('c.workspace_id', '=', 'r.workspace_id').onRef('c.id', '=', 'r.conversation_id'),
      )
      .select([
        'r.workspace_id',
        'r.conversation_id',
        'c.inbox_id',
        'r.person_id',
        'r.delivered_seq',
        'r.read_seq',
      ])
      .where('r.workspace_id', 'in', workspaces)
      .where(changedSince(since, 'r'))
      .execute()
    for (const row of rows) {
      if (!this.#hub.marked(row.conversation_id, row.person_id, row.delivered_seq, row.read_seq)) continue
      const [receipt] = await receiptsOf(this.#chat.db, row.workspace_id, row.conversation_id, row.person_id)
      if (!receipt) continue
      this.#hub.hear({
        type: 'receipt',
        workspaceId: row.workspace_id,
        conversationId: row.conversation_id,
        inboxId: row.inbox_id,
        receipt,
      })
    }
  }

  /** Roles, sessions, memberships and grants: whoever listens here looks again at what they may do (promise G20). */
  async #people(workspaces: string[], since: string): Promise<string[]> {
    const { rows } = await sql<{ person_id: string }>`
      select id as person_id from person
        where workspace_id = any (${workspaces}::uuid[]) and changed_xid >= ${since}::xid8
      union select person_id from session
        where workspace_id = any (${workspaces}::uuid[]) and changed_xid >= ${since}::xid8
      union select person_id from participant
        where workspace_id = any (${workspaces}::uuid[]) and changed_xid >= ${since}::xid8
      union select bound.person_id from access_grant a, unnest(array[person_a, person_b]) bound (person_id)
        where a.workspace_id = any (${workspaces}::uuid[]) and a.changed_xid >= ${since}::xid8`.execute(
      this.#chat.db,
    )
    return rows.map((row) => row.person_id)
  }
}
