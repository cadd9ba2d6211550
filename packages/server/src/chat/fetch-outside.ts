import dns from 'node:dns'
import http from 'node:http'
import https from 'node:https'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/**
 * Addresses that are not somebody else's server on the internet: private, local, reserved, or wrapping one of those.
 * Two lists, because one would hold every IPv4 address to be inside `::ffff:0:0/96`.
 */
const refused = {
  ipv4: blockList('ipv4', [
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
  ]),
  ipv6: blockList('ipv6', [
    ['::', 96],
    ['::ffff:0:0', 96],
    ['64:ff9b::', 96],
    ['64:ff9b:1::', 48],
    ['100::', 64],
    ['2001::', 23],
    ['2001:db8::', 32],
    ['2002::', 16],
    ['fc00::', 7],
    ['fe80::', 10],
    ['fec0::', 10],
    ['ff00::', 8],
  ]),
}
const loopback = { ipv4: blockList('ipv4', [['127.0.0.0', 8]]), ipv6: blockList('ipv6', [['::1', 128]]) }

function blockList(family: 'ipv4' | 'ipv6', networks: [string, number][]): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of networks) list.addSubnet(network, prefix, family)
  return list
}

function isIn(lists: Record<'ipv4' | 'ipv6', BlockList>, address: string): boolean {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  return lists[family].check(address, family)
}

/** May this address be connected to, for a URL of this protocol? Plain HTTP is for the same machine only. */
export const isReachable = (protocol: string, address: string) =>
  protocol === 'http:' ? isIn(loopback, address) : !isIn(refused, address)

/** The URL's own part of the rule: https, or http to this machine; nobody's credentials; no address that is refused. */
export function isFetchable(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { protocol, hostname, username, password } = new URL(url)
  if (username !== '' || password !== '') return false
  const host = withoutBrackets(hostname)
  if (isIP(host)) return isReachable(protocol, host) && ['https:', 'http:'].includes(protocol)
  return protocol === 'https:' || (protocol === 'http:' && host === 'localhost')
}

/**
 * Gets a small document from a URL that somebody gave us (promises §4). The address is checked where the connection
 * is made, so a name that answers differently the second time gains nothing. Redirects are not followed.
 */
export function fetchOutside(
  url: string,
  { timeoutMs = 5_000, maxBytes = 262_144 }: { timeoutMs?: number; maxBytes?: number } = {},
): Promise<Response> {
  if (!isFetchable(url)) return Promise.reject(new Error('The URL is not one that we fetch'))
  const { protocol } = new URL(url)
  const { get } = protocol === 'https:' ? https : http
  return new Promise((resolve, reject) => {
    const request = get(
      url,
      {
        agent: false,
        lookup: lookupFor(protocol),
        signal: AbortSignal.timeout(timeoutMs),
        headers: { accept: 'application/json, */*;q=0.1', 'user-agent': 'parley' },
      },
      (response) => {
        readAll(response, maxBytes).then(
          (body) => resolve(new Response(bodyFor(response.statusCode, body), { status: statusOf(response) })),
          reject,
        )
      },
    )
    request.on('error', reject)
  })
}

function lookupFor(protocol: string): LookupFunction {
  return (hostname, options, callback) => {
    dns.lookup(hostname, { ...options, all: true }, (error, addresses) => {
      const first = addresses?.[0]
      if (error) return callback(error, [])
      if (!first || addresses.some(({ address }) => !isReachable(protocol, address))) {
        return callback(new Error('The name stands for an address that we do not fetch from'), [])
      }
      if (options.all) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
  }
}

async function readAll(response: http.IncomingMessage, maxBytes: number): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response) {
    size += chunk.length
    if (size > maxBytes) {
      response.destroy()
      throw new Error('The answer is larger than we read')
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** `Response` refuses bodies, and statuses, that HTTP itself would not have sent. */
const bodyFor = (status: number | undefined, body: Buffer<ArrayBuffer>) =>
  [204, 205, 304].includes(status ?? 0) ? null : body
const statusOf = ({ statusCode = 502 }: http.IncomingMessage) =>
  statusCode >= 200 && statusCode <= 599 ? statusCode : 502
const withoutBrackets = (hostname: string) => hostname.replace(/^\[(.*)\]$/, '$1')
