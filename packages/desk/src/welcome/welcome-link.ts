/** A link that makes somebody a member: the first owner (`#setup=…`) or an invited colleague (`#invite=…`). */
export type WelcomeLink = { kind: 'setup' | 'invite'; token: string }

const kept = 'parley-desk:welcome'

/**
 * Takes the token out of the address, where it would stay in the history and in screenshots. It is kept for this tab,
 * so that a reload of the form does not lose a link that works only once.
 */
export function readWelcomeLink(): WelcomeLink | null {
  const found = parseWelcomeLink(location.hash)
  if (found) {
    history.replaceState(history.state, '', location.pathname + location.search)
    keepWelcomeLink(found)
    return found
  }
  return parseWelcomeLink(sessionStorage.getItem(kept) ?? '')
}

export function keepWelcomeLink(link: WelcomeLink | null): void {
  if (link) sessionStorage.setItem(kept, `#${link.kind}=${encodeURIComponent(link.token)}`)
  else sessionStorage.removeItem(kept)
}

export function parseWelcomeLink(hash: string): WelcomeLink | null {
  const [, kind, token = ''] = /^#(setup|invite)=([^&]+)$/.exec(hash) ?? []
  if (kind !== 'setup' && kind !== 'invite') return null
  try {
    return { kind, token: decodeURIComponent(token) }
  } catch {
    return null
  }
}

/** The address to send to somebody. What stands behind `#` never reaches a server or its log. */
export function linkOf({ kind, token }: WelcomeLink, origin: string): string {
  return `${origin}/desk#${kind}=${encodeURIComponent(token)}`
}
