import type { Dialect } from './door.ts'

/** Every dialect that the server speaks. */
export const dialects: readonly Dialect[] = []
