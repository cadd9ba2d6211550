import { invalid } from './failure.ts'

/** The schema knows the form of an instant, not the calendar: 30 February and the year 0 are refused here. */
export function requireInstant(field: string, text: string): string {
  const at = new Date(text)
  const isReal = !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text.slice(0, 19))
  if (!isReal || text.startsWith('0000')) throw invalid(field, 'There is no such instant')
  return text
}
