import { seedWorkspace } from './cast.ts'
import { Child } from './child.ts'
import type { Bench, Line, Tenant } from './measure.ts'
import { Place } from './place.ts'

/** One store, one server over it and one relay for all these measures, one after the other. */
export async function* shareHouse(
  tenants: { tenant: Tenant; wanted: string[] }[],
  bench: Omit<Bench, 'wanted'>,
): AsyncGenerator<Line> {
  if (tenants.length === 0) return
  await using place = await Place.make(bench.store)
  await place.open(async (pool) => {
    await seedWorkspace(pool)
    for (const { tenant, wanted } of tenants) await tenant.seed(pool, { ...bench, wanted })
    await pool.query('vacuum analyze')
  })
  {
    // TutorGo has a limit of its own for what one person sends.
    await using children = await Child.both(place, { PARLEY_MOUNTS: 'tutorgo?messageLimit=1000000' })
    for (const { tenant, wanted } of tenants) yield* tenant.run({ ...bench, wanted }, children)
  }
  await place.open(async (pool) => {
    for (const { tenant } of tenants) await tenant.verify?.(pool)
  })
}
