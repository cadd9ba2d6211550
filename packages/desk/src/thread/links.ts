/** A piece of text: plain, or an address that may be followed. */
export type Piece = string | { readonly href: string; readonly text: string }

const address = /\bhttps?:\/\/[^\s<>"'`]+/gi

/**
 * Finds web addresses in text from outside. Only http and https, only what the browser can read as an address; all
 * else stays text. Punctuation at the end, and a bracket that was opened outside, belong to the sentence.
 */
export function findLinks(text: string): readonly Piece[] {
  const pieces: Piece[] = []
  let end = 0
  for (const match of text.matchAll(address)) {
    const found = withoutSentenceEnd(match[0])
    if (!URL.canParse(found)) continue
    if (match.index > end) pieces.push(text.slice(end, match.index))
    pieces.push({ href: new URL(found).href, text: found })
    end = match.index + found.length
  }
  if (end < text.length) pieces.push(text.slice(end))
  return pieces
}

const brackets: Record<string, string> = { ')': '(', ']': '[', '}': '{' }

function withoutSentenceEnd(found: string): string {
  let end = found.length
  for (; end > 0; end--) {
    const last = found[end - 1] ?? ''
    const opening = brackets[last]
    if (opening ? count(found, end, last) <= count(found, end, opening) : !/[.,;:!?*_~…”’»]/.test(last)) break
  }
  return found.slice(0, end)
}

function count(text: string, end: number, letter: string): number {
  let found = 0
  for (let i = 0; i < end; i++) if (text[i] === letter) found++
  return found
}
