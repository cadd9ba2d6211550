export * from './emoji.ts'
export * from './entities.ts'
export * from './errors.ts'
export * from './events.ts'
export * from './limits.ts'
export * from './operations/index.ts'
export * from './scalars.ts'
export * from './text.ts'

/** Version of the realtime protocol; a client that asks for another is refused. */
export const protocolVersion = 1
