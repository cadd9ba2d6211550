import { limits } from '@parley/protocol'
import { idOf, tokenOf } from './cast.ts'
import type { Child } from './child.ts'
import { ClientSocket } from './socket.ts'

/** What a frame of the server is, from the few bytes that say so: parsing them all would cost more than the server. */
export type Heard =
  | { kind: 'reply'; ok: boolean }
  | { kind: 'message'; seq: number }
  | { kind: 'welcome' | 'caughtup' | 'other' }

const opening = '{"type":"'
const beforeSeq = `${opening}message.created","conversationId":"${idOf('conversation', 0)}","seq":`.length

export function read(bytes: Buffer, start: number, end: number): Heard {
  const type = bytes.toString('latin1', start + opening.length, Math.min(end, start + opening.length + 10))
  if (type.startsWith('reply"')) {
    return {
      kind: 'reply',
      ok: bytes.toString('latin1', start, Math.min(end, start + 48)).includes('"ok":true'),
    }
  }
  if (type.startsWith('message.cr')) return { kind: 'message', seq: numberAt(bytes, start + beforeSeq) }
  if (type.startsWith('welcome"')) return { kind: 'welcome' }
  return { kind: type.startsWith('caughtup"') ? 'caughtup' : 'other' }
}

function numberAt(bytes: Buffer, at: number): number {
  let number = 0
  for (let i = at; ; i++) {
    const digit = (bytes[i] ?? 0) - 48
    if (digit < 0 || digit > 9) return i > at ? number : Number.NaN
    number = number * 10 + digit
  }
}

/**
 * Signs somebody in over a socket of their own. Resolves when they are live, in the conversation they follow if any, and
 * have been told the messages they `missed` there.
 */
export async function join(
  server: Child,
  person: number,
  { follow, missed = 0, from }: { follow?: number; missed?: number; from?: string } = {},
): Promise<ClientSocket> {
  const socket = await ClientSocket.open({ ...server, path: '/api/v1/realtime', from })
  let told = 0
  const live = new Promise<void>((resolve) => {
    socket.onFrame = (bytes, start, end) => {
      const { kind } = read(bytes, start, end)
      if (kind === 'message') told++
      if (kind === (follow === undefined ? 'welcome' : 'caughtup') && told >= missed) resolve()
    }
  })
  const following =
    follow === undefined ? {} : { follow: [{ conversationId: idOf('conversation', follow), after: 0 }] }
  socket.write(JSON.stringify({ type: 'hello', token: tokenOf(person), ...following }))
  await within(
    10_000,
    live,
    () => `Person ${person} was not welcomed: ${socket.failure?.message ?? 'no answer'}`,
  )
  stayAlive(socket)
  return socket
}

/** One address of this machine has ports for some twenty-eight thousand connections, closed ones of a minute included. */
export const addressFor = (person: number) => `127.0.0.${2 + (person % 8)}`

/** The server ends peers that say nothing for long, and those who only read would be such. */
function stayAlive(socket: ClientSocket): void {
  const beat = setInterval(() => {
    if (socket.failure) clearInterval(beat)
    else socket.write('{"type":"heartbeat"}')
  }, limits.heartbeatMs)
  beat.unref()
}

/** Comes into a room of the relay. */
export const enter = (relay: Child, room: string, from?: string): Promise<ClientSocket> =>
  ClientSocket.open({ ...relay, path: `/${room}`, from })

export const text =
  'The quick brown fox jumps over the lazy dog, and nobody in this office has seen it come back so far.'

/** The next send of a hundred characters, as the protocol has it. The relay is given the same bytes. */
export function sendFrame(conversation: number): string {
  const number = ++framesMade
  return (
    `{"type":"message.send","id":${number},"conversationId":"${idOf('conversation', conversation)}",` +
    `"clientMessageId":"${runId}-${number}","body":"${text}"}`
  )
}
const runId = crypto.randomUUID()
let framesMade = 0

/** Many at a time, not all: a listening queue has an end. */
export async function each<T, R>(items: T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const waiting = items.entries()
  const worker = async () => {
    for (const [i, item] of waiting) results[i] = await work(item)
  }
  await Promise.all(Array.from({ length: 64 }, worker))
  return results
}

/** Rejects with a sentence when something that must happen does not. */
export async function within<T>(ms: number, happening: Promise<T>, otherwise: () => string): Promise<T> {
  let deadline: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    deadline = setTimeout(() => reject(new Error(otherwise())), ms)
  })
  return Promise.race([happening, late]).finally(() => clearTimeout(deadline))
}

/** Looks until something is so, or says why it should have been. */
export async function until(condition: () => boolean, ms: number, otherwise: () => string): Promise<void> {
  const deadline = performance.now() + ms
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(otherwise())
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
