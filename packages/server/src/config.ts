import { parseArgs } from 'node:util'
import { distance } from 'fastest-levenshtein'
import type { Durability } from './store/store.ts'

/** Everything that can be set, read once at the start. Afterwards every part receives this object. */
export type Config = {
  host: string
  port: number
  /** Where browsers reach us, without a trailing slash; null means "as asked", from the request's Host. */
  publicUrl: string | null
  dataDir: string
  databaseUrl: string | null
  poolSize: number
  requireDurability: Durability | null
  registrationSecret: string | null
  /** How many proxies of ours stand one behind the other before this server. */
  proxies: number
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
  uploadBytes: number
  outboxBytes: number
  drainMs: number
  rateLimit: boolean
  mounts: readonly MountSetting[]
  demo: boolean
}

/** Where a dialect answers besides its prefix, or with which options it does. `options.workspace` is a slug. */
export type MountSetting = {
  dialect: string
  port: number | null
  host: string | null
  options: Record<string, string>
}

type Setting<T> = {
  /** Shown in docs/configuration.md, which a test holds against this table. */
  is: string
  or: string | null
  read(text: string): T | undefined
  should: string
}

const text: Pick<Setting<string>, 'read' | 'should'> = {
  read: (value) => (value.trim() === '' ? undefined : value),
  should: 'be some text',
}
const whole = (from: number, to: number): Pick<Setting<number>, 'read' | 'should'> => ({
  read: (value) => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN
    return number >= from && number <= to ? number : undefined
  },
  should: `be a whole number from ${from} to ${to}`,
})
const oneOf = <const T extends readonly string[]>(
  ...values: T
): Pick<Setting<T[number]>, 'read' | 'should'> => ({
  read: (value) => values.find((known) => known === value),
  should: `be one of ${values.join(', ')}`,
})
const url = (...protocols: string[]): Pick<Setting<string>, 'read' | 'should'> => ({
  read: (value) =>
    URL.canParse(value) && protocols.includes(new URL(value).protocol) ? value.replace(/\/$/, '') : undefined,
  should: `be a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
})

/** Every environment variable of the server. */
export const settings = {
  PORT: { is: 'Port of the main listener; 0 takes any free one.', or: '3000', ...whole(0, 65_535) },
  HOST: { is: 'Address to listen on.', or: '127.0.0.1', ...text },
  PUBLIC_URL: {
    is: 'Where browsers reach the server. The links of invitations, of the first owner and of files in ServiceHub messages begin with it, and pages from there may use the widget of every inbox.',
    or: null,
    ...url('http:', 'https:'),
  },
  DATA_DIR: { is: 'Folder of the embedded database and of attachments.', or: './data', ...text },
  DATABASE_URL: {
    is: 'PostgreSQL 15 or newer; without it the embedded database in DATA_DIR is used.',
    or: null,
    ...url('postgres:', 'postgresql:'),
  },
  DATABASE_POOL: { is: 'Most connections to PostgreSQL at once.', or: '10', ...whole(2, 200) },
  REQUIRE_DURABILITY: {
    is: 'Refuse to start on a store that keeps less than this (see /health).',
    or: null,
    ...oneOf('D1', 'D1+', 'D2'),
  },
  REGISTRATION_SECRET: {
    is: 'Lets scripts register staff: sent as X-Registration-Secret. At least 24 characters.',
    or: null,
    read: (value: string) => (value.length >= 24 ? value : undefined),
    should: 'have at least 24 characters',
  },
  TRUST_PROXY: {
    is: 'How many proxies of yours stand before the server and add to X-Forwarded-For and -Proto: `on` for one, or a number. What whoever asks wrote there themselves stands further left and counts for nothing.',
    or: 'off',
    read: (value: string) => (value === 'off' ? 0 : value === 'on' ? 1 : whole(1, 10).read(value)),
    should: 'be on, off or the number of proxies, 1 to 10',
  },
  LOG_LEVEL: {
    is: 'How much is logged.',
    or: 'info',
    ...oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent'),
  },
  MAX_UPLOAD_BYTES: { is: 'Largest attachment.', or: '26214400', ...whole(1_024, 1_073_741_824) },
  MAX_OUTBOX_BYTES: {
    is: 'Most bytes queued for one connection before it is ended as a slow reader.',
    or: '1048576',
    ...whole(65_536, 67_108_864),
  },
  DRAIN_MS: { is: 'How long a stopping server waits for sends in flight.', or: '10000', ...whole(0, 60_000) },
  RATE_LIMIT: {
    is: 'Limits per address and minute: 30 sign-ins, 30 registrations, 300 new visitors, 30 tokens that are wrong. Who comes back with a token that is right does not count.',
    or: 'on',
    ...oneOf('on', 'off'),
  },
  PARLEY_MOUNTS: {
    is: 'Dialects at the root of a port or host name, or with options at their prefix: `servicehub:3001,tutorgo@chat.example.com?envelope=wrapped,priyo?workspace=shop`.',
    or: null,
    read: readMounts,
    should: 'be a list like servicehub:3001,tutorgo@chat.example.com?envelope=wrapped',
  },
} as const satisfies Record<string, Setting<unknown>>

function readMounts(text: string): MountSetting[] | undefined {
  const mounts = text.split(',').map((part) => {
    const found = /^([a-z]+)(?::(\d{1,5})|@([a-z0-9.-]+))?(?:\?(.*))?$/.exec(part.trim())
    if (!found?.[1] || Number(found[2] ?? 0) > 65_535) return undefined
    return {
      dialect: found[1],
      port: found[2] === undefined ? null : Number(found[2]),
      host: found[3] ?? null,
      options: Object.fromEntries(new URLSearchParams(found[4] ?? '')),
    }
  })
  return mounts.every((mount) => mount !== undefined) ? mounts : undefined
}

const placeholders = /^(your-secret-key|secret|changeme|change-me|password|your[-_].*|example.*|test)$/i

/** Reads environment and command line. Throws with the name of the setting and what it should be. */
export function readConfig(env: NodeJS.ProcessEnv, args: string[] = []): Config {
  const { demo } = readFlags(args)
  for (const name of Object.keys(env)) refuseUnknown(name)
  const config: Config = {
    host: read(env, 'HOST') ?? '127.0.0.1',
    port: read(env, 'PORT') ?? 3000,
    publicUrl: read(env, 'PUBLIC_URL') ?? null,
    dataDir: read(env, 'DATA_DIR') ?? './data',
    databaseUrl: read(env, 'DATABASE_URL') ?? null,
    poolSize: read(env, 'DATABASE_POOL') ?? 10,
    requireDurability: read(env, 'REQUIRE_DURABILITY') ?? null,
    registrationSecret: read(env, 'REGISTRATION_SECRET') ?? null,
    proxies: read(env, 'TRUST_PROXY') ?? 0,
    logLevel: read(env, 'LOG_LEVEL') ?? 'info',
    uploadBytes: read(env, 'MAX_UPLOAD_BYTES') ?? 26_214_400,
    outboxBytes: read(env, 'MAX_OUTBOX_BYTES') ?? 1_048_576,
    drainMs: read(env, 'DRAIN_MS') ?? 10_000,
    rateLimit: read(env, 'RATE_LIMIT') !== 'off',
    mounts: read(env, 'PARLEY_MOUNTS') ?? [],
    demo,
  }
  refuseContradictions(config, env)
  return config
}

/**
 * The environment belongs to everybody, so that a name that nobody reads is no error in itself. One that says it is ours is,
 * and one that is nearly ours: REQUIRE_DURABILTY would be taken for no requirement at all.
 */
function refuseUnknown(name: string): void {
  if (Object.hasOwn(settings, name)) return
  const meant = Object.keys(settings).find((known) => isNearly(name.toUpperCase(), known))
  if (meant)
    throw new Error(`${name} is not a setting of Parley; write ${meant} if you mean that, or unset it`)
  if (name.startsWith('PARLEY_')) {
    throw new Error(`${name} is not a setting of Parley; docs/configuration.md has them all`)
  }
}

/** Two letters off, or two that changed places. In a short name one letter off: PATH is two from PORT. */
function isNearly(name: string, known: string): boolean {
  const sorted = (letters: string) => [...letters].sort().join()
  return distance(name, known) <= (known.length < 8 ? 1 : 2) || sorted(name) === sorted(known)
}

function readFlags(args: string[]): { demo: boolean } {
  try {
    return { demo: parseArgs({ args, options: { demo: { type: 'boolean' } } }).values.demo ?? false }
  } catch {
    throw new Error(`Cannot understand "${args.join(' ')}"; the only option is --demo`)
  }
}

type Value<N extends keyof typeof settings> = Exclude<ReturnType<(typeof settings)[N]['read']>, undefined>

function read<N extends keyof typeof settings>(env: NodeJS.ProcessEnv, name: N): Value<N> | undefined {
  const setting: Setting<unknown> = settings[name]
  const given = env[name] ?? setting.or
  if (given === null || given === '') return undefined
  const value = setting.read(given)
  if (value === undefined) throw new Error(`${name} is "${given}", but should ${setting.should}`)
  return value as Value<N>
}

const loopback = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/

function refuseContradictions(config: Config, env: NodeJS.ProcessEnv): void {
  if (env.REDIS_URL) {
    throw new Error('REDIS_URL is set, but this version runs on one node and has no use for Redis; unset it')
  }
  if (env.DATABASE_POOL && !config.databaseUrl) {
    throw new Error('DATABASE_POOL is set, but there is no pool without DATABASE_URL; set that or unset it')
  }
  if (config.requireDurability === 'D2' && !config.databaseUrl) {
    throw new Error('REQUIRE_DURABILITY is D2, which the embedded database cannot give; set DATABASE_URL')
  }
  if (config.demo && !loopback.test(config.host)) {
    throw new Error(
      `--demo lets anybody register with any role, so it needs a loopback HOST, not ${config.host}`,
    )
  }
  if (config.demo && env.NODE_ENV === 'production') {
    throw new Error('--demo is refused when NODE_ENV is production')
  }
  if (config.registrationSecret && placeholders.test(config.registrationSecret)) {
    throw new Error('REGISTRATION_SECRET is a placeholder; make a random one')
  }
}
