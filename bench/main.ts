import { parseArgs } from 'node:util'
import { broadcast } from './broadcast.ts'
import { comeback } from './comeback.ts'
import { dialectQuestions } from './dialect-questions.ts'
import { dialectSends } from './dialect-sends.ts'
import { shareHouse } from './house.ts'
import { idleMemory } from './idle-memory.ts'
import type { Line, Measure, Scale, Tenant } from './measure.ts'
import { reads } from './reads.ts'
import { sends } from './sends.ts'

const full: Scale = {
  rounds: 5,
  load: { warmUpMs: 2_000, rounds: 25, startMs: 150, roundMs: 500 },
  conversations: [50, 200, 1_000],
  sketched: true,
  listeners: 1_000,
  idleConnections: 10_000,
  comingBack: 10_000,
  messages: { few: 1_000, many: 1_000_000 },
  dialects: { stored: 200_000, marks: 4_200, warmUps: 5 },
  askedShare: 1,
}
const quick: Scale = {
  rounds: 1,
  load: { warmUpMs: 30, rounds: 1, startMs: 30, roundMs: 80 },
  conversations: [50],
  sketched: false,
  listeners: 200,
  idleConnections: 300,
  comingBack: 0,
  messages: { few: 1_000, many: 5_000 },
  dialects: { stored: 2_000, marks: 25, warmUps: 1 },
  askedShare: 0.1,
}

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    store: { type: 'string', default: 'postgres' },
    only: { type: 'string' },
  },
})
const { store } = options
if (store !== 'postgres' && store !== 'embedded') {
  throw new Error(`--store is "${store}", but should be postgres or embedded`)
}
// The sketch needs a PostgreSQL.
const scale = options.quick ? quick : { ...full, sketched: store === 'postgres' }
// The questions first: they are asked of a store that holds what their lines say, and no sends yet.
const tenants: Tenant[] = [dialectQuestions, sends, broadcast, dialectSends]
const measures: Measure[] = [idleMemory, comeback, reads]

const known = [...tenants, ...measures].flatMap(({ names }) => names(scale))
if (options.only && !known.includes(options.only)) {
  throw new Error(`--only is "${options.only}", but should be one of ${known.join(', ')}`)
}
const wantedOf = ({ names }: Tenant | Measure) =>
  names(scale).filter((name) => !options.only || name === options.only)

/** One JSON line per measure. Whatever is broken throws and ends the run with its name; being slow is no error. */
const bench = { scale, store } as const
const sharing = tenants
  .map((tenant) => ({ tenant, wanted: wantedOf(tenant) }))
  .filter(({ wanted }) => wanted.length > 0)
const runs = [
  shareHouse(sharing, bench),
  ...measures
    .map((measure) => ({ measure, wanted: wantedOf(measure) }))
    .filter(({ wanted }) => wanted.length > 0)
    .map(({ measure, wanted }) => measure.run({ ...bench, wanted })),
]
// Each begins when it is asked for its first line. In small nothing is warm, and what is shown is that all of it works.
if (options.quick) await Promise.all(runs.map(print))
else for (const run of runs) await print(run)

async function print(lines: AsyncIterable<Line>): Promise<void> {
  for await (const line of lines) console.log(JSON.stringify(line))
}
