import { setTimeout as wait } from 'node:timers/promises'
import { sql } from 'kysely'
import { uuidOf } from '../../src/dialects/priyo/ids.ts'
import type { Store } from '../../src/store/store.ts'
import type { FinalMessage, Line } from '../history-lines.ts'
import { hashOf, type Stage } from '../stage.ts'
import { Refused, type Speaker, type Voice } from './voices.ts'

type Lane = { speaker: Speaker; conversation: string; most?: number }

/**
 * Sends one message after the other through a dialect, until the stage is over. Where its clients may name what they
 * send, each is tried until it is acknowledged; where they may not, another try would be another message, so whatever
 * nobody knows about is left alone.
 */
export async function keepSpeaking(stage: Stage, lane: Lane): Promise<void> {
  const { speaker, most = Infinity } = lane
  const process = stage.nameFor({ ...speaker.who, name: speaker.dialect }, speaker.way)
  let voice: Voice | undefined
  const say = async (body: string, key: string) => {
    try {
      voice ??= await speaker.open(await stage.url)
      return await voice.say(body, key)
    } catch (error) {
      if (error instanceof Refused) throw error
      voice?.close()
      voice = undefined
      await wait(5)
      return null
    }
  }
  try {
    for (let n = 1; !stage.isOver && n <= most; n++)
      await speakOnce(stage, lane, process, `${process}/${n}`, say)
  } finally {
    voice?.close()
  }
}

type Say = (body: string, key: string) => Promise<{ name: string | null } | null>

async function speakOnce(
  stage: Stage,
  { speaker, conversation }: Lane,
  process: string,
  key: string,
  say: Say,
): Promise<void> {
  const body = `${key} says ${'…'.repeat(1 + (key.length % 7))}`
  const { way, who } = speaker
  const line = {
    f: 'send',
    process,
    transport: way,
    conversation,
    sender: who.userId,
    key,
    hash: hashOf(body),
    visibility: 'everyone',
  } as const
  do {
    stage.recorder.write({ ...line, type: 'invoke' })
    const said = await say(body, key)
    if (!said) stage.recorder.write({ ...line, type: 'info' })
    else {
      // Dialects say no positions; `asSent` looks them up.
      stage.recorder.write({ ...line, type: 'ok', id: said.name ?? '', seq: 0 })
      stage.acknowledgements++
      return
    }
  } while (speaker.namesItsSends)
}

/**
 * The history in the words of the spine. A dialect that keeps no names of its clients' messages is known by what was
 * sent: the text of each is another one, so a row is named as whoever sent its text would have named it. Names of
 * messages become ids of ours, `numbers` those that are only kept in the store. An acknowledged message that is nowhere
 * keeps the position 0, where the checker does not find it.
 */
export function asSent(lines: readonly Line[], numbers: ReadonlyMap<string, string>): Line[] {
  const keys = new Map<string, string>()
  const rows = new Map<string, { id: string; seq: number }>()
  const textOf = ({ sender, hash }: Pick<FinalMessage, 'sender' | 'hash'>) => `${sender} ${hash}`
  for (const line of lines) {
    if (line.f === 'send') keys.set(textOf(line), line.key)
    if (line.f !== 'final' || line.sees !== 'agents') continue
    for (const { seq, message } of line.entries)
      if (message) rows.set(textOf(message), { id: message.id, seq })
  }
  const idOf = (name: string) => uuidOf(name) ?? numbers.get(name) ?? name.replace(/^msg_/, '')
  return lines.map((line): Line => {
    if (line.f === 'send' && line.type === 'ok' && line.seq === 0) {
      const row = rows.get(textOf(line))
      return { ...line, seq: row?.seq ?? 0, id: line.id === '' ? (row?.id ?? '') : idOf(line.id) }
    }
    if (line.f !== 'final') return line
    const entries = line.entries.map(({ message, ...entry }) => ({
      ...entry,
      message: message && { ...message, key: keys.get(textOf(message)) ?? message.key },
    }))
    return { ...line, entries }
  })
}

/** What ServiceHub calls the messages of a server, by those names: the conversation's number, and the place in it. */
export async function numbersIn({ db }: Pick<Store, 'db'>): Promise<Map<string, string>> {
  const { rows } = await sql<{ name: string; id: string }>`
    select ((a.name::bigint << 31) | m.seq)::text as name, m.id
    from alias a join message m on m.workspace_id = a.workspace_id and m.conversation_id = a.id
    where a.kind = 'conversation' and a.scheme = 'decimal'`.execute(db)
  return new Map(rows.map(({ name, id }) => [name, id]))
}
