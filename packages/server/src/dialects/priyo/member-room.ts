import type { Receipt } from '@parley/protocol'
import { isWithin, readSpans, type Span } from './translate.ts'
import type { Typists } from './typists.ts'

/** A message that this socket sent, and whom it has reached. */
type Sent = { id: string; seq: number; reached: Set<string> }

const mostSent = 500

/** What one socket knows of a conversation that it has joined, or has sent into without joining it. */
export class MemberRoom {
  readonly typists: Typists
  readonly members = new Set<string>()
  /** A socket that has not joined is told whom its own messages reach, and nothing else. */
  joined = false
  /** An admin may listen without taking part; then nothing is delivered to them. */
  takesPart = false
  readonly #read = new Map<string, Span[]>()
  readonly #delivered = new Map<string, number>()
  #sent: Sent[] = []

  constructor(typists: Typists) {
    this.typists = typists
  }

  /** Takes somebody's marks as they are; returns what they had read before. */
  mark(receipt: Receipt): Span[] {
    const before = this.#read.get(receipt.userId) ?? []
    this.#read.set(receipt.userId, readSpans(receipt))
    this.#delivered.set(receipt.userId, receipt.delivered)
    return before
  }

  sent(id: string, seq: number): void {
    this.#sent.push({ id, seq, reached: new Set() })
    if (this.#sent.length > mostSent) this.#sent = this.#sent.slice(-mostSent / 2)
  }

  /** Whose marks are known here. */
  get marked(): string[] {
    return [...this.#delivered.keys()]
  }

  /** Whether a message of this socket has still to reach somebody besides its sender. */
  awaits(senderId: string): boolean {
    const others = [...this.members].filter((userId) => userId !== senderId)
    return this.#sent.some(({ reached }) => others.some((userId) => !reached.has(userId)))
  }

  /** Messages of this socket that have just reached this person, each with everybody it has reached. */
  reached(userId: string): { id: string; reached: string[] }[] {
    const delivered = this.#delivered.get(userId) ?? 0
    const read = this.#read.get(userId) ?? []
    return this.#sent.flatMap(({ id, seq, reached }) => {
      if (reached.has(userId) || (seq > delivered && !isWithin(seq, read))) return []
      reached.add(userId)
      return [{ id, reached: [...reached] }]
    })
  }
}
