import { fieldOf, textIn } from './translate.ts'

/** A frame is refused with its text; the socket stays. */
export class Refused extends Error {}

/** What a client may ask for, and what each says when it fails for no reason of the client's. */
export const failures: ReadonlyMap<string, string> = new Map([
  ['JOIN_CONVERSATION', 'Failed to join conversation'],
  ['SEND_MESSAGE', 'Failed to send message'],
  ['LEAVE_CONVERSATION', 'Failed to leave conversation'],
  ['CLOSE_CONVERSATION', 'Failed to close conversation'],
])

/** The parts of a frame, or what is wrong with it. */
export function readFrame(text: string): { event: string; data: unknown } | { fault: string } {
  const frame = parse(text)
  if (frame === undefined || frame === null) return { fault: 'Invalid request schema' }
  const event = fieldOf(frame, 'event')
  if (typeof event !== 'string') return { fault: 'Invalid message format' }
  return failures.has(event) ? { event, data: fieldOf(frame, 'data') } : { fault: 'Unknown event' }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function required(data: unknown, field: 'conversationId' | 'content'): string {
  const value = textIn(data, field)
  if (value === undefined) throw new Refused(`${field} is required`)
  return value
}
