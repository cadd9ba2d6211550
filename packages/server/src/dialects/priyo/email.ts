/** Names that are no public top-level domains and never will be: reserved, or used inside of networks. */
const reserved = new Set(
  ['local localhost localdomain invalid test internal intranet private corp home lan onion alt arpa']
    .join(' ')
    .split(' '),
)

const local = /^[^\s@"(),:;<>[\\\]\p{Cc}.]+(?:\.[^\s@"(),:;<>[\\\]\p{Cc}.]+)*$/u
const label = /^[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?$/u

/** An address at a public domain. Whether a top-level domain exists today is nothing that a server can know for long. */
export function isEmail(text: string): boolean {
  if (text.length > 254) return false
  const at = text.lastIndexOf('@')
  const name = text.slice(0, Math.max(0, at))
  const labels = text.slice(at + 1).split('.')
  const top = labels.at(-1)?.toLowerCase() ?? ''
  return (
    name.length <= 64 &&
    local.test(name) &&
    labels.length >= 2 &&
    labels.every((one) => label.test(one)) &&
    /^(?:\p{L}{2,63}|xn--[a-z0-9-]{1,59})$/u.test(top) &&
    !reserved.has(top)
  )
}
