import { type Logger, pino } from 'pino'

/** One JSON line per fact, on standard error. What may hold a token or a password is cut before it is written. */
export function makeLog(level: string): Logger {
  return pino(
    { level, base: { pid: process.pid }, hooks: { streamWrite: withoutSecrets } },
    pino.destination({ dest: 2, sync: true }),
  )
}

/** By name and at any depth: libraries log what they were given, and headers lie wherever those put them. */
function withoutSecrets(line: string): string {
  if (!mayHoldSecrets.test(line)) return line
  return `${JSON.stringify(JSON.parse(line, (name, value) => (secret.test(name) ? undefined : value)))}\n`
}

const names = '(?:req|res|(?:raw)?headers|[^"]*(?:authorization|cookie|token|password))'
const secret = new RegExp(`^${names}$`, 'i')
const mayHoldSecrets = new RegExp(`"${names}":`, 'i')
