import type { LogEvent, Message, OperationName } from '@parley/protocol'
import { openStore, type Store } from '../src/store/store.ts'
import { callOver, type Person, type Place } from '../src/testing.ts'
import type { FinalEntry, Recorder } from './history-lines.ts'
import { hashOf } from './stage.ts'

type Reader = { who: Pick<Person, 'token' | 'name'>; sees: 'everyone' | 'agents' }

/** Reads one conversation whole, over REST: messages forwards and backwards, and the log, in pages of an odd size. */
export async function readOverRest(
  recorder: Recorder,
  url: string,
  conversation: string,
  { who, sees }: Reader,
  limit = 173,
): Promise<void> {
  const call = async (name: OperationName, input: object) => {
    const answer = await callOver(url, who.token, name, { conversationId: conversation, ...input })
    if (answer.status !== 200) throw new Error(`${name} answered ${answer.status}`)
    return answer.body
  }
  const receipts = (await call('receipt.list', {})).receipts.map(participantOf)
  const write = (process: string, of: 'messages' | 'log', lastSeq: number, entries: FinalEntry[]) =>
    recorder.write({
      f: 'final',
      type: 'ok',
      process: `${who.name} ${process}`,
      transport: 'rest',
      conversation,
      of,
      sees,
      lastSeq,
      entries,
      receipts,
    })

  const forwards: Message[] = []
  for (let more = true, lastSeq = 0; more; ) {
    const page = await call('message.list', { after: forwards.at(-1)?.seq ?? 0, limit })
    forwards.push(...page.messages)
    ;({ hasMore: more, lastSeq } = page)
    if (!more) write('forwards', 'messages', lastSeq, forwards.map(entryOfMessage))
  }
  const backwards: Message[] = []
  for (let more = true, lastSeq = 0; more; ) {
    const before = backwards[0]?.seq
    const page = await call('message.list', { ...(before && { before }), limit })
    backwards.unshift(...page.messages)
    ;({ hasMore: more, lastSeq } = page)
    if (!more) write('backwards', 'messages', lastSeq, backwards.map(entryOfMessage))
  }
  const log: LogEvent[] = []
  for (let upTo = 0, lastSeq = 1; upTo < lastSeq; ) {
    const page = await call('log.list', { after: upTo, limit })
    log.push(...page.events)
    ;({ upTo, lastSeq } = page)
    if (upTo >= lastSeq) write('log', 'log', lastSeq, log.map(entryOfEvent))
  }
}

/** The outside witness: the tables of a store whose server is gone. */
export async function readOverSql(recorder: Recorder, place: Place): Promise<void> {
  const { DATABASE_URL = null, DATA_DIR = '' } = place.env
  const store = await openStore({ databaseUrl: DATABASE_URL, dataDir: DATA_DIR, poolSize: 4 })
  try {
    await witness(recorder, store)
  } finally {
    await store.close()
  }
}

export async function witness(recorder: Recorder, { db }: Pick<Store, 'db'>): Promise<void> {
  const messages = await db
    .selectFrom('message')
    .select(['conversation_id', 'seq', 'visibility', 'id', 'body', 'sender_id', 'client_message_id'])
    .execute()
  const events = await db.selectFrom('event').select(['conversation_id', 'seq', 'visibility']).execute()
  const marks = await db
    .selectFrom('receipt')
    .select(['conversation_id', 'person_id', 'delivered_seq', 'read_seq'])
    .execute()
  for (const { id, last_seq } of await db.selectFrom('conversation').select(['id', 'last_seq']).execute()) {
    const entries: FinalEntry[] = [
      ...messages
        .filter((row) => row.conversation_id === id)
        .map((row) => ({
          seq: row.seq,
          visibility: visibilityOf(row.visibility),
          message: {
            id: row.id,
            hash: hashOf(row.body),
            sender: row.sender_id ?? '',
            key: row.client_message_id ?? '',
          },
        })),
      ...events
        .filter((row) => row.conversation_id === id)
        .map(({ seq, visibility }) => ({ seq, visibility: visibilityOf(visibility), message: null })),
    ]
    recorder.write({
      f: 'final',
      type: 'ok',
      process: 'sql',
      transport: 'sql',
      conversation: id,
      of: 'log',
      sees: 'agents',
      lastSeq: last_seq,
      entries: entries.sort((a, b) => a.seq - b.seq),
      receipts: marks
        .filter((row) => row.conversation_id === id)
        .map((row) => ({ participant: row.person_id, delivered: row.delivered_seq, read: row.read_seq })),
    })
  }
}

const visibilityOf = (text: string): FinalEntry['visibility'] => (text === 'agents' ? 'agents' : 'everyone')

const participantOf = ({ userId, delivered, read }: { userId: string; delivered: number; read: number }) => ({
  participant: userId,
  delivered,
  read,
})

function entryOfMessage({ seq, visibility, id, body, senderId, clientMessageId }: Message): FinalEntry {
  const message = { id, hash: hashOf(body), sender: senderId ?? '', key: clientMessageId ?? '' }
  return { seq, visibility, message }
}

function entryOfEvent(event: LogEvent): FinalEntry {
  if (event.type === 'message.created') return entryOfMessage(event.message)
  return { seq: event.seq, visibility: 'everyone', message: null }
}
