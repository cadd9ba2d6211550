/** Ids as this dialect's clients know them: 25 characters that carry the 128 bits of ours. Handles, never permissions. */
const length = 25
const form = /^[0-9a-z]{25}$/
const highest = 2n ** 128n

export const idOf = (uuid: string) => write(BigInt(`0x${uuid.replaceAll('-', '')}`))

/** Our id, or null when this was never one. */
export function uuidOf(id: unknown): string | null {
  if (typeof id !== 'string' || !form.test(id)) return null
  const value = read(id)
  return value < highest ? uuidFromHex(value.toString(16).padStart(32, '0')) : null
}

export const bytesOfUuid = (uuid: string) => Buffer.from(uuid.replaceAll('-', ''), 'hex')
export const uuidFromBytes = (bytes: Buffer) => uuidFromHex(bytes.toString('hex'))

const uuidFromHex = (hex: string) =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
const write = (value: bigint) => value.toString(36).padStart(length, '0')

/** In pieces that fit a number exactly: ten digits of base 36 are less than 2^53. */
const step = 36n ** 10n
const read = (id: string) =>
  (BigInt(Number.parseInt(id.slice(0, 5), 36)) * step + BigInt(Number.parseInt(id.slice(5, 15), 36))) * step +
  BigInt(Number.parseInt(id.slice(15), 36))
