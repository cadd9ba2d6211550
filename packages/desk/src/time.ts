/** Instants as people say them, in the language and time zone of the browser. All take `now`, so that tests can. */
const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** How long ago, in as few letters as a list row has room for. */
export function age(instant: string, now: number): string {
  const then = Date.parse(instant)
  const past = Math.max(0, now - then)
  if (past < minute) return 'now'
  if (past < hour) return `${Math.floor(past / minute)}m`
  if (past < day) return `${Math.floor(past / hour)}h`
  if (past < 7 * day) return `${Math.floor(past / day)}d`
  const sameYear = new Date(then).getFullYear() === new Date(now).getFullYear()
  return format(then, { day: 'numeric', month: 'short', ...(sameYear ? {} : { year: 'numeric' }) })
}

export function clock(instant: string): string {
  return format(Date.parse(instant), { hour: '2-digit', minute: '2-digit' })
}

/** The whole truth, for titles. */
export function moment(instant: string): string {
  return format(Date.parse(instant), { dateStyle: 'full', timeStyle: 'medium' })
}

export function date(instant: string): string {
  return format(Date.parse(instant), { dateStyle: 'long' })
}

/** The day as a heading: today, yesterday, or its name. */
export function dayName(instant: string, now: number): string {
  const then = Date.parse(instant)
  if (dayOf(then) === dayOf(now)) return 'Today'
  if (dayOf(then) === dayOf(now - day)) return 'Yesterday'
  const sameYear = new Date(then).getFullYear() === new Date(now).getFullYear()
  return format(then, {
    weekday: 'long',
    day: 'numeric',
    month: 'long',
    ...(sameYear ? {} : { year: 'numeric' }),
  })
}

export function isSameDay(a: string, b: string): boolean {
  return dayOf(Date.parse(a)) === dayOf(Date.parse(b))
}

const dayOf = (at: number) => new Date(at).toDateString()

const formats = new Map<string, Intl.DateTimeFormat>()

function format(at: number, options: Intl.DateTimeFormatOptions): string {
  const key = JSON.stringify(options)
  const known = formats.get(key) ?? new Intl.DateTimeFormat('en-GB', options)
  formats.set(key, known)
  return known.format(at)
}
