import { connectionCommands, conversations } from './conversations.ts'
import { identity } from './identity.ts'
import type { Input, Operation, Result } from './operation.ts'
import { workspace } from './workspace.ts'

/** Every operation of the API, by name. REST routes, realtime commands, OpenAPI and the client's types come from it. */
export const operations = { ...identity, ...workspace, ...conversations }
export type Operations = typeof operations
export type OperationName = keyof Operations
export type InputOf<N extends OperationName> = Input<Operations[N]>
export type ResultOf<N extends OperationName> = Result<Operations[N]>

export { connectionCommands }

export const operationNames = Object.keys(operations) as OperationName[]
/** The same row, seen through its general type. */
export const operationOf = (name: OperationName): Operation => operations[name]
export type { Access, Input, Operation, Result } from './operation.ts'
