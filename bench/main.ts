import { parseArgs } from 'node:util'
import { broadcast } from './broadcast.ts'
import { dialects } from './dialects.ts'
import { idleMemory } from './idle-memory.ts'
import type { Measure, Scale } from './measure.ts'
import { reads } from './reads.ts'
import { sends } from './sends.ts'

const full: Scale = {
  rounds: 5,
  warmUpMs: 2_000,
  roundMs: 2_000,
  conversations: [50, 200, 1_000],
  listeners: 1_000,
  idleConnections: 10_000,
  messages: { few: 1_000, many: 1_000_000 },
  dialects: { stored: 200_000, marks: 4_200 },
  askedShare: 1,
}
const quick: Scale = {
  rounds: 1,
  warmUpMs: 50,
  roundMs: 150,
  conversations: [50],
  listeners: 200,
  idleConnections: 300,
  messages: { few: 1_000, many: 20_000 },
  dialects: { stored: 4_000, marks: 50 },
  askedShare: 0.1,
}

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    store: { type: 'string', default: 'postgres' },
    only: { type: 'string' },
  },
})
if (options.store !== 'postgres' && options.store !== 'embedded') {
  throw new Error(`--store is "${options.store}", but should be postgres or embedded`)
}
const scale = options.quick ? quick : full
const measures: Measure[] = [sends, broadcast, idleMemory, reads, dialects]

/** One JSON line per measure. Whatever is broken throws and ends the run with its name; being slow is no error. */
for (const { names, run } of measures) {
  const wanted = names(scale).filter((name) => !options.only || name === options.only)
  if (wanted.length === 0) continue
  for await (const line of run({ scale, store: options.store, wanted })) console.log(JSON.stringify(line))
}
const known = measures.flatMap(({ names }) => names(scale))
if (options.only && !known.includes(options.only)) {
  throw new Error(`--only is "${options.only}", but should be one of ${known.join(', ')}`)
}
