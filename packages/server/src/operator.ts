import { randomUUIDv7 } from 'node:crypto'
import { parseArgs } from 'node:util'
import { findWorkspace } from './chat/workspaces.ts'
import { readConfig } from './config.ts'
import { dialects } from './dialects/dialects.ts'
import { openStore, type Store } from './store/store.ts'

const usage = `parley mount DIALECT --port N | --host NAME [--workspace SLUG] [--option name=value]…
parley mounts
parley unmount DIALECT --port N | --host NAME

Where a dialect answers at the root of a port or host name, from the next start on. The settings DATABASE_URL and
DATA_DIR say which store. A server holds the embedded store alone: stop it first, or use PARLEY_MOUNTS.`

type Place = { dialect: string; port: number | null; host: string | null }

/** The operator's commands. They go to the store itself, so whoever may run them may do everything anyway. */
const commands: Record<string, (store: Store, args: string[]) => Promise<string>> = { mount, mounts, unmount }

try {
  const [name = 'help', ...args] = process.argv.slice(2)
  const command = commands[name]
  if (!command) {
    console.log(usage)
    process.exit(name === 'help' || name === '--help' ? 0 : 2)
  }
  const store = await openStore(readConfig(process.env))
  try {
    console.log(await command(store, args))
  } finally {
    await store.close()
  }
} catch (error) {
  console.error(`parley: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}

async function mount({ db }: Store, args: string[]): Promise<string> {
  const { place, workspace, options } = read(args)
  const known = dialects.find((dialect) => dialect.name === place.dialect)
  if (!known)
    throw new Error(
      `there is no dialect "${place.dialect}"; there are ${dialects.map(({ name }) => name).join(', ')}`,
    )
  for (const [name, value] of Object.entries(options)) {
    if (!known.options[name]?.test(value)) throw new Error(`${known.name} has no option ${name}=${value}`)
  }
  const { id, slug } = await findWorkspace(db, workspace)
  await db
    .insertInto('mount')
    .values({ workspace_id: id, id: randomUUIDv7(), ...place, options: JSON.stringify(options) })
    .execute()
    .catch((error: unknown) => {
      throw new Error(`${where(place)} is taken already; see parley mounts`, { cause: error })
    })
  return `${place.dialect} will answer at ${where(place)} for the workspace ${slug} from the next start on`
}

async function mounts({ db }: Store): Promise<string> {
  const rows = await db
    .selectFrom('mount')
    .innerJoin('workspace', 'workspace.id', 'mount.workspace_id')
    .select(['dialect', 'port', 'host', 'options', 'slug'])
    .orderBy('mount.created_at')
    .execute()
  const lines = rows.map((row) =>
    `${row.dialect} at ${where(row)} for ${row.slug} ${new URLSearchParams(row.options)}`.trimEnd(),
  )
  return lines.length > 0 ? lines.join('\n') : 'No dialect has a root of its own; each answers at its prefix'
}

async function unmount({ db }: Store, args: string[]): Promise<string> {
  const { place } = read(args)
  const gone = await db
    .deleteFrom('mount')
    .where('dialect', '=', place.dialect)
    .where((eb) => (place.port === null ? eb('host', '=', place.host) : eb('port', '=', place.port)))
    .returning('id')
    .executeTakeFirst()
  if (!gone) throw new Error(`${place.dialect} is not mounted at ${where(place)}`)
  return `${place.dialect} will not answer at ${where(place)} any more from the next start on`
}

function read(args: string[]): {
  place: Place
  workspace: string | undefined
  options: Record<string, string>
} {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      port: { type: 'string' },
      host: { type: 'string' },
      workspace: { type: 'string' },
      option: { type: 'string', multiple: true },
    },
  })
  const [dialect, extra] = positionals
  const port = values.port === undefined ? null : Number(values.port)
  if (!dialect || extra || (port === null) === (values.host === undefined)) throw new Error(usage)
  if (port !== null && !(Number.isInteger(port) && port > 0 && port < 65_536))
    throw new Error('--port is a number up to 65535')
  return {
    place: { dialect, port, host: values.host ?? null },
    workspace: values.workspace,
    options: Object.fromEntries((values.option ?? []).map((pair) => pair.split('=', 2) as [string, string])),
  }
}

const where = ({ port, host }: { port: number | null; host: string | null }) =>
  port === null ? host : `port ${port}`
