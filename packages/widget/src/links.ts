/** Finds addresses in plain text. The pieces put together are the text again, so nothing is lost or added. */
export type Piece = { readonly text: string; readonly href: string | null }

const address = /\b(?:https?:\/\/|www\.)[^\s<>"'`]+|\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b/gi

export function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = []
  let end = 0
  for (const { 0: found, index } of text.matchAll(address)) {
    const link = trim(found)
    const href = hrefOf(link)
    if (!href) continue
    if (index > end) pieces.push({ text: text.slice(end, index), href: null })
    pieces.push({ text: link, href })
    end = index + link.length
  }
  if (end < text.length) pieces.push({ text: text.slice(end), href: null })
  return pieces
}

/** A full stop after an address ends the sentence; a bracket belongs to it only if it was opened in it. */
function trim(found: string): string {
  let link = found
  while (/[.,;:!?…»”’\])}*_~]$/.test(link)) {
    if (link.endsWith(')') && link.split('(').length >= link.split(')').length) break
    if (link.endsWith(']') && link.split('[').length >= link.split(']').length) break
    link = link.slice(0, -1)
  }
  return link
}

/** Only ever http, https or mailto, whatever the text says. */
function hrefOf(link: string): string | null {
  const text = /^https?:/i.test(link) ? link : /^www\./i.test(link) ? `https://${link}` : `mailto:${link}`
  try {
    const url = new URL(text)
    return url.protocol === 'mailto:' || url.hostname.includes('.') || url.hostname === 'localhost'
      ? url.href
      : null
  } catch {
    return null
  }
}
