/** Positions [from, to] of a log, in order and apart from each other. */
export type Ranges = readonly (readonly [from: number, to: number])[]

export const holds = (ranges: Ranges, seq: number) => ranges.some(([from, to]) => from <= seq && seq <= to)

/** The positions of some ranges that others do not hold. */
export function without(ranges: Ranges, others: Ranges): Ranges {
  return others.reduce<Ranges>(
    (left, [from, to]) =>
      left.flatMap(([a, b]) =>
        to < a || b < from
          ? [[a, b] as const]
          : [[a, from - 1] as const, [to + 1, b] as const].filter(isSome),
      ),
    ranges,
  )
}

const isSome = ([from, to]: readonly [number, number]) => from <= to

/** Puts ranges in order, those that touch together. */
export function join(ranges: Ranges): Ranges {
  const joined: [number, number][] = []
  for (const [from, to] of ranges.filter(isSome).toSorted(([a], [b]) => a - b)) {
    const last = joined.at(-1)
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else joined.push([from, to])
  }
  return joined
}
