import { limits } from './limits.ts'

/** What is wrong with a parsed JSON value as text, or nothing: SPEC B1 to B3. */
export type TextFault = 'bad_text' | 'too_deep'

/**
 * Looks for NUL characters, unpaired surrogates (PostgreSQL refuses the first and silently alters the second) and
 * nesting beyond `limits.jsonDepth`, in values and in keys. It goes no deeper than that, so depth cannot exhaust the
 * stack. `depth` is how deep the value itself lies.
 */
export function findTextFault(value: unknown, depth = 0): TextFault | undefined {
  if (typeof value === 'string') return isCleanText(value) ? undefined : 'bad_text'
  if (typeof value !== 'object' || value === null) return undefined
  if (depth === limits.jsonDepth) return 'too_deep'
  if (Array.isArray(value)) return firstFault(value, depth + 1)
  for (const key of Object.keys(value)) {
    const child = (value as Record<string, unknown>)[key]
    const fault = isCleanText(key) ? findTextFault(child, depth + 1) : 'bad_text'
    if (fault) return fault
  }
  return undefined
}

function firstFault(values: unknown[], depth: number): TextFault | undefined {
  for (const value of values) {
    const fault = findTextFault(value, depth)
    if (fault) return fault
  }
  return undefined
}

/** True for text that both stores return byte for byte. */
export const isCleanText = (text: string) => text.isWellFormed() && !text.includes('\0')

/** Size of a text on the wire, in bytes of UTF-8. */
export const byteLength = (text: string) => new TextEncoder().encode(text).length
