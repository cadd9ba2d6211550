import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Pool } from 'pg'
import type { Child } from './child.ts'
import type { StoreKind } from './place.ts'

/** How large everything is. */
export type Scale = {
  rounds: number
  load: Load
  conversations: number[]
  /** Whether sends are measured against the sketch, too. */
  sketched: boolean
  listeners: number
  idleConnections: number
  /** How many come back after a restart; none, and it is not measured. */
  comingBack: number
  messages: { few: number; many: number }
  /** What is stored for the lists of dialects, and how much more is marked at once, first for nothing. */
  dialects: { stored: number; marks: number; warmUps: number }
  /** How many of the questions of a full round are asked. */
  askedShare: number
}

/**
 * How a load is measured: first warmed up, then in many short rounds, so that baseline and ours meet the machine in the same
 * mood: a shared one is twice as fast in one second as in another. What happens in the first `startMs` of a round is not
 * counted.
 */
export type Load = { warmUpMs: number; rounds: number; startMs: number; roundMs: number }

export type Bench = { scale: Scale; store: StoreKind; wanted: string[] }

/** Several measures that share their preparations, in places of their own. */
export type Measure = {
  names(scale: Scale): string[]
  run(bench: Bench): AsyncGenerator<Line>
}

/** Several measures that live in one house with others (`house.ts`), beside people and conversations of other numbers. */
export type Tenant = {
  names(scale: Scale): string[]
  /** What they need to find in the store when the server starts. */
  seed(pool: Pool, bench: Bench): Promise<void>
  run(bench: Bench, children: { relay: Child; server: Child }): AsyncGenerator<Line>
  /** Throws if the store does not hold what it should when the server has stopped. */
  verify?(pool: Pool): Promise<void>
}

/** What is printed. `ratio` says how close to the baseline or beyond it, and larger is better for every unit. */
export type Line = {
  measure: string
  value: number
  unit: string
  baseline: number
  ratio: number
  /** The load maker itself was too slow for the figures to mean anything. */
  void?: true
}

/** One figure of one round, and how late the load maker's own timers were meanwhile (99 of 100). */
export type Reading = { value: number; lagMs: number }

/** Baseline, ours, ours, baseline, baseline, ours …: whatever else the machine does meanwhile hits both. */
export async function inTurns(
  rounds: number,
  baseline: () => Promise<Reading>,
  ours: () => Promise<Reading>,
): Promise<{ baseline: Reading[]; ours: Reading[] }> {
  const readings: { baseline: Reading[]; ours: Reading[] } = { baseline: [], ours: [] }
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) readings.baseline.push(await baseline())
    readings.ours.push(await ours())
    if (round % 2 === 1) readings.baseline.push(await baseline())
  }
  return readings
}

/** The medians of the rounds, and of their ratios. `better` says whether a larger or a smaller value is. */
export function lineOf(
  measure: string,
  unit: string,
  better: 'larger' | 'smaller',
  readings: { baseline: Reading[]; ours: Reading[] },
  mostLagMs: number,
): Line {
  const value = median(readings.ours.map((reading) => reading.value))
  const baseline = median(readings.baseline.map((reading) => reading.value))
  const ratio = median(
    readings.ours.map((our, round) => {
      const gain = our.value / (readings.baseline[round]?.value ?? Number.NaN)
      return better === 'larger' ? gain : 1 / gain
    }),
  )
  if (!(ratio > 0)) throw new Error(`${measure}: ${value} against ${baseline} is no result`)
  // On one side only it was kept by its own sockets: libuv may read 48 times 1,024 of them before it looks at a timer, and
  // the relay keeps 2,000 busy.
  const lagMs = Math.min(...[readings.ours, readings.baseline].map((side) => median(side.map(lagOf))))
  return {
    measure,
    value: round(value),
    unit,
    baseline: round(baseline),
    ratio: round(ratio),
    ...(lagMs > mostLagMs && { void: true }),
  }
}

const lagOf = ({ lagMs }: Reading) => lagMs

/** Runs `work` and says how late this process's timers were while it did. */
export async function watchingLag<T>(work: () => Promise<T>): Promise<{ result: T; lagMs: number }> {
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const result = await work()
  delay.disable()
  return { result, lagMs: delay.percentile(99) / 1e6 }
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** Three digits that mean something. */
const round = (value: number) => Number(value.toPrecision(value >= 1_000 ? 6 : 3))
