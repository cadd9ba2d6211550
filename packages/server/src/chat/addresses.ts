import { isIP } from 'node:net'

/**
 * The address that a request comes from. Each proxy adds to the right of `X-Forwarded-For` whom it was asked by, so of ours
 * only the last `proxies` entries are, and the first of those is the client; anybody can write what stands before them.
 */
export function clientAddress(
  proxies: number,
  forwardedFor: string | string[] | undefined,
  peer: string | undefined,
): string | null {
  const entries = String(forwardedFor ?? '').split(',')
  const client = proxies > 0 ? entries.at(-proxies)?.trim() : undefined
  return client && isIP(client) ? client : (peer ?? null)
}
