import { careforall } from './careforall/index.ts'
import type { Dialect } from './door.ts'
import { livesupport } from './livesupport/index.ts'
import { priyo } from './priyo/index.ts'
import { servicehub } from './servicehub/index.ts'
import { tutorgo } from './tutorgo/index.ts'

/** Every dialect that the server speaks. */
export const dialects: readonly Dialect[] = [careforall, livesupport, priyo, servicehub, tutorgo]
