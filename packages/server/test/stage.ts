import { createHash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { LogEvent, Message, OperationName, Receipt, ServerFrame } from '@parley/protocol'
import { type Answer, callOver, type Person } from '../src/testing.ts'
import type { Line, Recorder, Send } from './history-lines.ts'
import { openWire, type Transport, type Wire } from './wires.ts'

export type Way = Transport | 'rest'
type Somebody = Pick<Person, 'userId' | 'name' | 'token'>
type Sees = 'everyone' | 'agents'

/** Where senders and readers play: a server that may be gone and come back elsewhere, and a recorder of all they see. */
export class Stage {
  readonly recorder: Recorder
  isOver = false
  acknowledgements = 0
  #url = Promise.withResolvers<string>()
  #lanes = 0

  constructor(recorder: Recorder) {
    this.recorder = recorder
  }

  /** The address of the server; waits while there is none. */
  get url(): Promise<string> {
    return this.#url.promise
  }

  up(url: string): void {
    this.#url.resolve(url)
  }

  down(): void {
    this.#url = Promise.withResolvers()
  }

  /** Resolves when so many more sends have been acknowledged, or when the time is up. */
  async acknowledged(more: number, withinMs: number): Promise<void> {
    const target = this.acknowledgements + more
    const deadline = Date.now() + withinMs
    while (this.acknowledgements < target && Date.now() < deadline) await wait(5)
  }

  /** A name that no other part of this play has. */
  nameFor(who: Somebody, way: Way): string {
    return `${who.name}/${way}/${++this.#lanes}`
  }
}

export const hashOf = (body: string) => createHash('sha256').update(body).digest('hex').slice(0, 16)

type Lane = { who: Somebody; way: Way; conversation: string; isNote?: boolean; most?: number }

/**
 * Sends one message after the other until the stage is over. Each is tried under its own name until it is
 * acknowledged, as a client would (SPEC I4).
 */
export async function keepSending(stage: Stage, lane: Lane): Promise<void> {
  const process = stage.nameFor(lane.who, lane.way)
  const mouth = makeMouth(stage, lane)
  try {
    for (let n = 1; !stage.isOver && n <= (lane.most ?? Infinity); n++) {
      await sendOnce(stage, lane, mouth, process, `${process}/${n}`)
    }
  } finally {
    mouth.close()
  }
}

async function sendOnce(stage: Stage, lane: Lane, mouth: Mouth, process: string, key: string): Promise<void> {
  const { who, way, conversation, isNote = false } = lane
  const body = `${key} ${'…'.repeat(key.length % 7)}`
  const line = {
    f: 'send',
    process,
    transport: way,
    conversation,
    sender: who.userId,
    key,
    hash: hashOf(body),
    visibility: isNote ? 'agents' : 'everyone',
  } as const satisfies Omit<Send, 'type'> & Pick<Line, 'process' | 'transport'>
  for (;;) {
    stage.recorder.write({ ...line, type: 'invoke' })
    const input = { conversationId: conversation, clientMessageId: key, body }
    const outcome = await mouth.say(isNote ? 'message.note' : 'message.send', input)
    if (outcome.kind === 'ok') {
      const { id, seq, body: stored } = outcome.message
      stage.recorder.write({ ...line, type: 'ok', id, seq, hash: hashOf(stored) })
      stage.acknowledgements++
      return
    }
    if (outcome.kind === 'refused') stage.recorder.write({ ...line, type: 'fail', code: outcome.code })
    else stage.recorder.write({ ...line, type: 'info' })
    if (outcome.kind === 'refused' && !outcome.retry) throw new Error(`${key} was refused: ${outcome.code}`)
    await wait(5)
  }
}

type Outcome =
  | { kind: 'ok'; message: Message }
  | { kind: 'refused'; code: string; retry: boolean }
  | { kind: 'unknown' }
type Mouth = { say(name: OperationName, input: Record<string, unknown>): Promise<Outcome>; close(): void }

function makeMouth(stage: Stage, { who, way }: Lane): Mouth {
  if (way === 'rest') {
    const say: Mouth['say'] = async (name, input) => {
      const answer = await callOver(await stage.url, who.token, name, input).catch(() => null)
      if (!answer) return { kind: 'unknown' }
      return answer.status < 300 ? { kind: 'ok', message: answer.body } : failureOf(answer.body.error)
    }
    return { say, close: () => {} }
  }
  let wire: Wire | undefined
  return {
    async say(name, input) {
      try {
        wire ??= await openWire(way, { url: await stage.url, token: who.token, hello: { feed: false } })
        const reply = await wire.command(name, input)
        return reply.ok ? { kind: 'ok', message: reply.result as Message } : failureOf(reply.error)
      } catch {
        wire?.close()
        wire = undefined
        return { kind: 'unknown' }
      }
    },
    close: () => wire?.close(),
  }
}

/** Everything but these two means that nothing was changed (SPEC E4). */
function failureOf(error: unknown): Outcome {
  const { code, retry } = error as { code: string; retry: boolean }
  return code === 'outcome_unknown' || code === 'internal'
    ? { kind: 'unknown' }
    : { kind: 'refused', code, retry }
}

type Follower = { who: Somebody; way: Transport; conversations: readonly string[]; sees: Sees }

/** Follows conversations by position, on one connection after the other, until the stage is over. */
export function keepFollowing(stage: Stage, { who, way, conversations, sees }: Follower) {
  const process = stage.nameFor(who, way)
  const positions = new Map(conversations.map((id) => [id, 0]))
  const stopping = new AbortController()
  const line = (conversation: string) => ({ process, transport: way, conversation, sees })

  const hear = (frame: ServerFrame) => {
    if (frame.type === 'reset' && frame.conversationId) {
      stage.recorder.write({ f: 'resume', type: 'reset', ...line(frame.conversationId), after: 0 })
      positions.set(frame.conversationId, 0)
    }
    if (!isLogged(frame)) return
    const message = frame.type === 'message.created' ? frame.message : null
    stage.recorder.write({
      f: 'deliver',
      type: 'ok',
      ...line(frame.conversationId),
      seq: frame.seq,
      id: message?.id ?? null,
      hash: message && hashOf(message.body),
    })
    positions.set(frame.conversationId, frame.seq)
  }
  const live = async () => {
    while (!stopping.signal.aborted) {
      const url = await stage.url
      const follow = [...positions].map(([conversationId, after]) => ({ conversationId, after }))
      for (const { conversationId, after } of follow) {
        stage.recorder.write({ f: 'resume', type: 'ok', ...line(conversationId), after })
      }
      const hello = { feed: false, follow }
      const wire = await openWire(way, { url, token: who.token, hello, hear }).catch(() => undefined)
      if (!wire) await wait(20)
      else if (stopping.signal.aborted) wire.close()
      else {
        stopping.signal.addEventListener('abort', wire.close, { once: true })
        await wire.ended
        stopping.signal.removeEventListener('abort', wire.close)
      }
    }
  }
  const ended = live()
  return {
    process,
    sees,
    positions,
    stop: () => {
      stopping.abort()
      return ended
    },
  }
}

export function isLogged(frame: ServerFrame): frame is LogEvent {
  return 'seq' in frame && 'at' in frame
}

/** Moves marks forward, and looks how far the log reaches, over and over. */
export async function keepReading(stage: Stage, who: Somebody, conversation: string): Promise<void> {
  const process = stage.nameFor(who, 'rest')
  const line = { process, transport: 'rest', conversation } as const
  const call = async (name: OperationName, input: Record<string, unknown>): Promise<Answer | null> =>
    callOver(await stage.url, who.token, name, { conversationId: conversation, ...input }).catch(() => null)
  while (!stage.isOver) {
    stage.recorder.write({ f: 'read', type: 'invoke', ...line })
    const page = await call('message.list', { limit: 1 })
    if (page?.status === 200) {
      const { lastSeq } = page.body
      stage.recorder.write({ f: 'read', type: 'ok', ...line, lastSeq })
      const moved = await call('receipt.move', { delivered: lastSeq, read: Math.floor(lastSeq / 2) })
      if (moved?.status === 200) recordReceipt(stage, line, moved.body)
    }
    await wait(30)
  }
}

function recordReceipt(
  { recorder }: Stage,
  line: { process: string; transport: 'rest'; conversation: string },
  { userId, delivered, read }: Receipt,
): void {
  recorder.write({ f: 'receipt', type: 'ok', ...line, participant: userId, delivered, read })
}

/**
 * Waits until every follower has been told the last entry that the final reads found and it may see. Resolves with the
 * names of those that ten seconds were not enough for.
 */
export async function untilCaughtUp(
  recorder: Recorder,
  followers: ReturnType<typeof keepFollowing>[],
): Promise<string[]> {
  const ends = new Map<string, { everyone: number; agents: number }>()
  for (const line of recorder.lines) {
    if (line.f !== 'final' || line.of !== 'log' || line.sees !== 'agents') continue
    const end = (entries: typeof line.entries) => entries.at(-1)?.seq ?? 0
    ends.set(line.conversation, {
      agents: end(line.entries),
      everyone: end(line.entries.filter((entry) => entry.visibility === 'everyone')),
    })
  }
  const isBehind = ({ positions, sees }: (typeof followers)[number]) =>
    [...positions].some(([id, position]) => position < (ends.get(id)?.[sees] ?? 0))
  const deadline = Date.now() + 10_000
  while (followers.some(isBehind) && Date.now() < deadline) await wait(20)
  return followers.filter(isBehind).map(({ process }) => process)
}
