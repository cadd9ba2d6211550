import { expect, test } from 'vitest'
import { refusalOf as careforall } from './careforall/refusals.ts'
import { refusalOf as livesupport } from './livesupport/refusals.ts'
import { refusalOf as priyo } from './priyo/refusals.ts'
import { refusalOf as servicehub } from './servicehub/refusals.ts'
import { refusalOf as tutorgo } from './tutorgo/refusals.ts'

const dialects: [string, (error: unknown) => { status: number } | null | undefined][] = [
  ['ServiceHub', servicehub],
  ['CareForAll', careforall],
  ['Priyo', (error) => priyo(error)],
  ['Live Support', livesupport],
  ['TutorGo', (error) => tutorgo(error, 'It failed').refusal],
]

const outages = [
  Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }),
  new Error('timeout exceeded when trying to connect'),
  Object.assign(new Error('terminating connection due to administrator command'), { code: '57P01' }),
  new Error('Connection terminated unexpectedly'),
]

test.for(dialects)('%s says 503 while the store does not answer (promise G12)', ([, refusalOf]) => {
  for (const outage of outages) expect(refusalOf(outage)?.status).toBe(503)
})
