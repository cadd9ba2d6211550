import { createHash } from 'node:crypto'
import type { Logger } from 'pino'
import type { Chat } from '../../chat/chat.ts'
import { fetchOutside } from '../../chat/fetch-outside.ts'
import { createGrant, endGrantByReference, findGrantByReference, type Granter } from '../../chat/grants.ts'
import type { Directory } from './directory.ts'
import { Refusal } from './refusals.ts'

/** What a bookings service says of two people; with an id, one of several bookings that they may have. */
export type Booking = { id: string | null; studentId: string; tutorId: string; status: string }

export type BookingRules = { url: string | null; countsCompleted: boolean }

/** What a look at the bookings service told: nothing when none is set, or when it did not answer. */
export type Looked = 'confirmed' | 'none' | 'unknown' | 'not asked'

const timeoutMs = 2_000
const freshForMs = 30_000
/** A service that is down is not asked again by every message. */
const failureForMs = 5_000
/** Grants from a look-up end by themselves when nobody sends any more, and are renewed at half of their time. */
const grantedForMs = 600_000
const mostRemembered = 20_000

type Look = { outcome: Promise<Looked>; until: number }

/**
 * Bookings of another service as grants of ours: told to us one by one, or looked up when somebody wants to write. A
 * grant says that two people may write; the store refuses the message when none is current.
 */
export class Bookings {
  readonly #chat: Chat
  readonly #directory: Directory
  readonly #granter: Granter
  readonly #rules: BookingRules
  readonly #log: Logger
  readonly #looks = new Map<string, Look>()

  constructor(chat: Chat, directory: Directory, granter: Granter, rules: BookingRules, log: Logger) {
    this.#chat = chat
    this.#directory = directory
    this.#granter = granter
    this.#rules = rules
    this.#log = log
  }

  /** Makes our grants what these bookings say. People whom nobody has seen yet are made: a booking names them. */
  async follow(granter: Granter, bookings: readonly Booking[]): Promise<void> {
    for (const booking of bookings) {
      const { id, studentId, tutorId, status } = booking
      const reference = referenceOf(id === null ? ['pair', keyOf(studentId, tutorId)] : ['booking', id])
      if (!this.#counts(status)) await endGrantByReference(this.#chat, granter, reference)
      else await this.#grant(granter, [studentId, tutorId], { externalRef: reference })
    }
  }

  /** Asks the bookings service about two people, where there is one; what it said lately is taken again. */
  async look(a: string, b: string): Promise<Looked> {
    if (this.#rules.url === null) return 'not asked'
    const key = keyOf(a, b)
    const known = this.#looks.get(key)
    if (known && known.until > performance.now()) return known.outcome
    const look: Look = { outcome: this.#ask(this.#rules.url, a, b), until: performance.now() + freshForMs }
    this.#looks.delete(key)
    this.#looks.set(key, look)
    if (this.#looks.size > mostRemembered) this.#looks.delete(this.#looks.keys().next().value ?? key)
    const outcome = await look.outcome
    if (outcome === 'unknown') look.until = performance.now() + failureForMs
    return outcome
  }

  async #ask(url: string, a: string, b: string): Promise<Looked> {
    try {
      const confirmed = await this.#isConfirmed(url, a, b)
      const reference = referenceOf(['look-up', keyOf(a, b)])
      if (confirmed) await this.#renew(reference, a, b)
      else await endGrantByReference(this.#chat, this.#granter, reference)
      return confirmed ? 'confirmed' : 'none'
    } catch (error) {
      // Never the URL: an operator may have put a key into it.
      const reason = error instanceof Error ? error.name : 'unknown'
      this.#log.warn({ reason }, 'the bookings service could not be asked')
      return 'unknown'
    }
  }

  async #isConfirmed(base: string, a: string, b: string): Promise<boolean> {
    const url = new URL(base)
    for (const id of [a, b]) url.searchParams.append('userId', id)
    const response = await fetchOutside(url.href, { timeoutMs })
    if (response.status === 404) return false
    if (response.status !== 200) throw new Error(`It answered ${response.status}`)
    return bookingsIn(await response.json()).some(
      (booking) => keyOf(booking.studentId, booking.tutorId) === keyOf(a, b) && this.#counts(booking.status),
    )
  }

  /** As the store says, for another node or mount may have ended what this one made. */
  async #renew(reference: string, a: string, b: string): Promise<void> {
    const known = await findGrantByReference(this.#chat, this.#granter.workspaceId, reference)
    const until = known && known.endedAt === null ? Date.parse(known.endsAt ?? '') : 0
    if (until - Date.now() > grantedForMs / 2) return
    const endsAt = new Date(Date.now() + grantedForMs).toISOString()
    await this.#grant(this.#granter, [a, b], { externalRef: reference, endsAt })
  }

  async #grant(
    granter: Granter,
    [a, b]: readonly [string, string],
    more: { externalRef: string; endsAt?: string },
  ): Promise<void> {
    const people = await this.#directory.ensure([a, b])
    const userIds: [string, string] = [people.get(a) ?? '', people.get(b) ?? '']
    await createGrant(this.#chat, granter, { kind: 'booking', userIds, ...more })
  }

  #counts(status: string): boolean {
    return status === 'confirmed' || (this.#rules.countsCompleted && status === 'completed')
  }
}

/** Two people, whoever of them is the student; unlike the id of a conversation it cannot be read as two others. */
const keyOf = (a: string, b: string) => JSON.stringify([a, b].sort())

/** Texts of any length, as a reference of the length that grants take. */
const referenceOf = (parts: [kind: string, of: string]) =>
  `booking:${createHash('sha256').update(JSON.stringify(parts)).digest('hex')}`

/** A booking, a list of them, or a list below `bookings` or `data`. What is not a booking is not counted. */
function bookingsIn(body: unknown): Booking[] {
  return listIn(body).flatMap((one) => readBooking(one) ?? [])
}

const mostAtOnce = 500

/** The same for what somebody tells us, where everything must be a booking. */
export function readBookings(body: unknown): Booking[] {
  const given = listIn(body)
  const bookings = given.flatMap((one) => readBooking(one) ?? [])
  if (bookings.length === 0 || bookings.length < given.length || bookings.length > mostAtOnce)
    throw new Refusal(400, 'Each booking needs studentId, tutorId and status')
  return bookings
}

function listIn(body: unknown): unknown[] {
  if (Array.isArray(body)) return body
  if (typeof body !== 'object' || body === null) return []
  const { bookings, data } = body as Record<string, unknown>
  if (Array.isArray(bookings)) return bookings
  return Array.isArray(data) ? data : [data ?? body]
}

function readBooking(given: unknown): Booking | null {
  if (typeof given !== 'object' || given === null) return null
  const { id, bookingId = id, studentId, tutorId, status } = given as Record<string, unknown>
  const [student, tutor] = [idOf(studentId), idOf(tutorId)]
  if (student === null || tutor === null || student === tutor || typeof status !== 'string') return null
  const booking = idOf(bookingId)
  if (bookingId !== undefined && bookingId !== null && booking === null) return null
  return { id: booking, studentId: student, tutorId: tutor, status }
}

const idOf = (value: unknown): string | null => {
  const text = Number.isSafeInteger(value) ? String(value) : value
  return typeof text === 'string' && text.trim() !== '' && text.length <= 200 ? text : null
}
