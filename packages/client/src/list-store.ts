import type { ConversationSummary, Event } from '@parley/protocol'
import type { ConversationList, ListQuery, ListView, Parley } from './api.ts'
import { errorFrom, type ParleyError } from './error.ts'
import { applyToRows, dropRow, noRows, putRow, type Rows, select } from './list.ts'
import { Cell } from './store.ts'

/**
 * All lists over one set of rows (`list.ts`): loads pages, fetches rows that the fold asks for, and draws each list.
 *
 * - a list loads when first subscribed to; before that nothing is fetched for it, and entries of the feed are ignored
 *   until some list was;
 * - after a connection that did not resume, and after a reset, the rows may be wrong and not merely old: every loaded
 *   list is read again; the old rows stand until the first page is here, then give way to it and what was heard since;
 * - a row in `unknown` or `stale` is fetched after a moment, together with its like.
 */
export type ListsOptions = {
  call: Parley['call']
  me(): string | null
  /** The position of the first page. */
  position(cursor: string): void
  /** A row came or changed as a whole. */
  arrived(summary: ConversationSummary): void
}

const pageSize = 50
const gatherMs = 50
const againMs = 5_000
/** A row that stays stale however often it is fetched is left as it is. */
const patience = 5

export type Lists = ReturnType<typeof conversationLists>

export function conversationLists(options: ListsOptions) {
  const { call, me } = options
  let rows: Rows = noRows
  const lists = new Map<string, ReturnType<typeof openList>>()
  const fetched = new Map<string, number>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let again: ReturnType<typeof setTimeout> | undefined
  let closed = false
  let active = false
  /** What was heard since the rows were found to be wrong; null while they are right. */
  let doubted: Event[] | null = null

  function set(next: Rows) {
    if (next === rows) return
    rows = next
    for (const list of lists.values()) list.change()
    if ((rows.unknown.size || rows.stale.size) && !closed) timer ??= setTimeout(fetchWanted, gatherMs)
  }

  async function fetchWanted() {
    const wanted = new Set([...rows.unknown.keys(), ...rows.stale])
    for (const id of fetched.keys()) if (!wanted.has(id)) fetched.delete(id)
    const due = [...wanted].filter((id) => (fetched.get(id) ?? 0) < patience)
    await Promise.all(
      due.map(async (id) => {
        fetched.set(id, (fetched.get(id) ?? 0) + 1)
        try {
          put(await call('conversation.get', { conversationId: id }))
        } catch (thrown) {
          if (!errorFrom(thrown).retry) set(dropRow(rows, id))
        }
      }),
    )
    timer = undefined
    if (due.length && (rows.unknown.size || rows.stale.size) && !closed)
      timer = setTimeout(fetchWanted, 1_000)
  }

  function put(summary: ConversationSummary) {
    set(putRow(rows, summary, me()))
    options.arrived(summary)
  }

  function openList(query: ListQuery) {
    let phase: ListView['phase'] = 'idle'
    let error: ParleyError | null = null
    let from: string = '~'
    let nextPage: string | null = null
    let loading: Promise<void> | null = null
    let loadingMore: Promise<void> | null = null

    const cell = new Cell<ListView>(look(), (watched) => {
      if (watched && (phase === 'idle' || phase === 'failed')) void load()
    })
    const change = () => cell.set(look())

    function look(): ListView {
      const mine = phase === 'idle' ? [] : select(rows, query, me(), from)
      const unread = mine.reduce((sum, row) => sum + row.unread, 0)
      return {
        phase,
        rows: mine,
        unread,
        hasMore: nextPage !== null,
        loadingMore: loadingMore !== null,
        error,
      }
    }

    /** `anew`: an answer that is already under way would be too old. */
    function load(anew = false): Promise<void> {
      if (loading && !anew) return loading
      active = true
      if (phase !== 'ready') phase = 'loading'
      const mine: Promise<void> = take(() => loading === mine && !closed).finally(() => {
        if (loading === mine) loading = null
        change()
      })
      loading = mine
      change()
      return mine
    }

    async function take(current: () => boolean) {
      try {
        const page = await call('conversation.list', { ...query, limit: pageSize })
        if (!current()) return
        options.position(page.cursor)
        const heard = doubted ?? []
        let next = doubted ? noRows : rows
        doubted = null
        for (const row of page.conversations) next = putRow(next, row, me())
        for (const event of heard) next = applyToRows(next, event, me())
        nextPage = page.nextPage
        from = reach(page)
        phase = 'ready'
        error = null
        set(next)
        for (const row of page.conversations) options.arrived(row)
      } catch (thrown) {
        if (!current()) return
        error = errorFrom(thrown)
        if (phase !== 'ready') phase = 'failed'
        if (error.retry && !closed) again ??= setTimeout(retry, againMs)
      }
    }

    async function takeMore(page: string) {
      const answer = await call('conversation.list', { ...query, limit: pageSize, page })
      if (nextPage !== page) return
      nextPage = answer.nextPage
      from = reach(answer)
      for (const row of answer.conversations) put(row)
    }

    const store: ConversationList = {
      query,
      get: cell.get,
      subscribe: cell.subscribe,
      reload: () => load(),
      loadMore() {
        if (!nextPage) return Promise.resolve()
        loadingMore ??= takeMore(nextPage).finally(() => {
          loadingMore = null
          change()
        })
        change()
        return loadingMore
      },
    }
    return {
      store,
      change,
      failed: () => phase === 'failed' && load(),
      reset: () => phase !== 'idle' && load(true),
    }
  }

  function retry() {
    clearTimeout(again)
    again = undefined
    if (doubted) return reset()
    for (const list of lists.values()) list.failed()
  }

  function reset() {
    if (!active) return
    doubted = []
    for (const list of lists.values()) list.reset()
  }

  return {
    list(query: ListQuery): ConversationList {
      const key = JSON.stringify(query)
      const list = lists.get(key) ?? openList(query)
      lists.set(key, list)
      return list.store
    },
    row: (id: string) => rows.rows.get(id),
    hear(event: Event) {
      if (!active) return
      doubted?.push(event)
      set(applyToRows(rows, event, me()))
      if (event.type === 'conversation.changed') options.arrived(event.summary)
    },
    /** Who I am is known now; what is mine may look different. */
    change() {
      for (const list of lists.values()) list.change()
    },
    welcomed(resumed: boolean) {
      fetched.clear()
      if (!resumed) return reset()
      set({ ...rows })
      retry()
    },
    reset,
    close() {
      closed = true
      clearTimeout(timer)
      clearTimeout(again)
    },
  }
}

/** How far back a list reaches after this page: to its last row, or to the beginning of time. */
const reach = (page: { conversations: ConversationSummary[]; nextPage: string | null }) =>
  page.nextPage === null ? '' : (page.conversations.at(-1)?.conversation.updatedAt ?? '')
