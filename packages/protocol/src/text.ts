import { limits } from './limits.ts'

/** What is wrong with a parsed JSON value as text, or nothing: SPEC B1 to B3. */
export type TextFault = 'bad_text' | 'too_deep'

/**
 * Looks for NUL characters, unpaired surrogates (PostgreSQL refuses the first and silently alters the second) and
 * nesting beyond `limits.jsonDepth`, in values and in keys. Walks with its own stack, so depth cannot exhaust ours.
 */
export function findTextFault(value: unknown): TextFault | undefined {
  const stack: { value: unknown; depth: number }[] = [{ value, depth: 0 }]
  for (let next = stack.pop(); next; next = stack.pop()) {
    if (typeof next.value === 'string') {
      if (!isCleanText(next.value)) return 'bad_text'
    } else if (typeof next.value === 'object' && next.value !== null) {
      const depth = next.depth + 1
      if (depth > limits.jsonDepth) return 'too_deep'
      for (const [key, child] of Object.entries(next.value)) {
        if (!isCleanText(key)) return 'bad_text'
        stack.push({ value: child, depth })
      }
    }
  }
  return undefined
}

/** True for text that both stores return byte for byte. */
export const isCleanText = (text: string) => text.isWellFormed() && !text.includes('\0')

/** Size of a text on the wire, in bytes of UTF-8. */
export const byteLength = (text: string) => new TextEncoder().encode(text).length
