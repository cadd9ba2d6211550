import { strings } from './strings.ts'

/** The moment of a message as people say it, in the visitor's own way of writing times. */
export const timeOf = (at: string) => clock.format(new Date(at))

/** The day of a message, for the line between days. */
export function dayOf(at: string, now = new Date()): string {
  const day = new Date(at)
  if (sameDay(day, now)) return strings.today
  const before = new Date(now)
  before.setDate(now.getDate() - 1)
  if (sameDay(day, before)) return strings.yesterday
  return (day.getFullYear() === now.getFullYear() ? thisYear : anyYear).format(day)
}

export const sameDay = (a: Date, b: Date) => a.toDateString() === b.toDateString()

const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' })
const thisYear = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' })
const anyYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' })
