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

  /** Takes a message that this socket has just sent; returns whom it has reached already. */
  sent(id: string, seq: number, senderId: string): string[] {
    const reached = [...this.#delivered.keys()].filter(
      (userId) => userId !== senderId && this.#has(userId, seq),
    )
    this.#sent.push({ id, seq, reached: new Set(reached) })
    if (this.#sent.length > mostSent) this.#sent = this.#sent.slice(-mostSent / 2)
    return reached
  }

  /** Whether a message of this socket has still to reach somebody besides its sender. */
  awaits(senderId: string): boolean {
    const others = [...this.members].filter((userId) => userId !== senderId)
    const waiting = this.#sent.findLast(({ reached }) => others.some((userId) => !reached.has(userId)))
    return waiting !== undefined
  }

  /** Messages of this socket that have just reached this person, each with everybody it has reached. */
  reached(userId: string): { id: string; reached: string[] }[] {
    return this.#sent.flatMap(({ id, seq, reached }) => {
      if (reached.has(userId) || !this.#has(userId, seq)) return []
      reached.add(userId)
      return [{ id, reached: [...reached] }]
    })
  }

  #has(userId: string, seq: number): boolean {
    return seq <= (this.#delivered.get(userId) ?? 0) || isWithin(seq, this.#read.get(userId) ?? [])
  }
}
