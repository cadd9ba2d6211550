import {
  Beat,
  connectionCommands,
  type ErrorCode,
  findTextFault,
  Hello,
  limits,
  type Operation,
  type OperationName,
  operationNames,
  operationOf,
  operations,
} from '@parley/protocol'
import { type TProperties, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { Failure, invalid } from './chat/failure.ts'

type Checker = {
  Check(value: unknown): boolean
  Errors(value: unknown): { instancePath: string; keyword: string; message: string; params: object }[]
}
type Part = 'params' | 'query' | 'body'

const strict = (properties: TProperties): Checker =>
  Compile(Type.Object(properties, { additionalProperties: false }))

/** Compiled once, at start: each part of each operation, and all parts together for the realtime form. */
const checkers = new Map(
  operationNames.map((name) => {
    const { params = {}, query = {}, body = {} }: Operation = operations[name]
    return [
      name,
      {
        params: strict(params),
        query: strict(query),
        body: strict(body),
        realtime: strict({ ...params, ...query, ...body }),
      },
    ]
  }),
)

const helloChecker: Checker = Compile(Hello)
const beatChecker: Checker = Compile(Beat)
const commandCheckers = new Map(
  Object.entries(connectionCommands).map(([name, { input }]): [string, Checker] => [name, Compile(input)]),
)

/** Refuses what the schema of one part does not allow. Numbers and booleans of a query are read from their text. */
export function checkPart(name: OperationName, part: Part, value: unknown): Record<string, unknown> {
  const given = part === 'query' ? decodeQuery(operationOf(name).query ?? {}, value) : (value ?? {})
  refuseUnkeepable(given)
  return check(checkers.get(name)?.[part], given)
}

/** The whole input of an operation, as a realtime command brings it. */
export function checkCommand(name: OperationName, input: Record<string, unknown>): Record<string, unknown> {
  return check(checkers.get(name)?.realtime, input)
}

/** What a realtime peer may say: hello, its half of the heartbeat, or a command with a number of its own. */
export type ClientFrame =
  | { kind: 'hello'; hello: Hello }
  | { kind: 'heartbeat' }
  | { kind: 'command'; id: number; type: string; input: Record<string, unknown> }

/** Reads a frame; undefined if it breaks the protocol (SPEC C3): not JSON, or none of the three kinds. */
export function readFrame(text: string): ClientFrame | undefined {
  const frame = parseFrame(text)
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) return undefined
  const { type, id, ...input } = frame as Record<string, unknown>
  if (type === 'hello')
    return helloChecker.Check(frame) ? { kind: 'hello', hello: frame as Hello } : undefined
  if (type === 'heartbeat') return beatChecker.Check(frame) ? { kind: 'heartbeat' } : undefined
  if (typeof type !== 'string' || !Number.isSafeInteger(id) || Number(id) < 1) return undefined
  return { kind: 'command', type, id: Number(id), input }
}

function parseFrame(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

type ConnectionCommand =
  | { type: 'conversation.follow'; conversationId: string; after: number }
  | { type: 'conversation.unfollow'; conversationId: string }
  | { type: 'presence.watch'; userIds: string[] }

/** A command about the connection itself. */
export function readCommand(type: string, input: Record<string, unknown>): ConnectionCommand {
  const checker = commandCheckers.get(type)
  if (!checker) throw new Failure('unknown_operation')
  return { type, ...check(checker, input) } as ConnectionCommand
}

/** What a body says, of any door; undefined for an empty one. The parser's own words are the cause of the refusal. */
export function readJson(body: Uint8Array): unknown {
  return body.length === 0 ? undefined : parseJson(utf8(body))
}

function utf8(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    throw new Failure('malformed_json')
  }
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Failure('malformed_json', {}, { cause: error })
  }
}

/** The byte rules (SPEC B1 to B3, B8), for everything that comes in: what could not be given back as it came. */
export function refuseUnkeepable(value: unknown): void {
  const fault: ErrorCode | undefined = findTextFault(value)
  if (fault) throw new Failure(fault, fault === 'too_deep' ? { limit: limits.jsonDepth } : {})
  const lost = findLostNumber(value)
  if (lost)
    throw invalid(lost.join('.').slice(0, 200), 'A number that JSON does not keep exactly; send it as text')
}

/** The path to the first number that may not be the one that was sent. */
function findLostNumber(value: unknown): string[] | undefined {
  if (typeof value === 'number') return isKept(value) ? undefined : []
  if (typeof value !== 'object' || value === null) return undefined
  for (const [key, child] of Object.entries(value)) {
    const path = findLostNumber(child)
    if (path) return [key, ...path]
  }
  return undefined
}

const isKept = (number: number) =>
  Number.isInteger(number) ? Number.isSafeInteger(number) : Number.isFinite(number)

function check(checker: Checker | undefined, value: unknown): Record<string, unknown> {
  if (!checker) throw new Failure('unknown_operation')
  if (checker.Check(value)) return value as Record<string, unknown>
  throw faultOf(checker, value)
}

/** Names the field and what is wrong with it, without repeating what was sent. */
function faultOf(checker: Checker, value: unknown): Failure {
  const faults = checker.Errors(value)
  const [first] = faults.filter((fault) => fault.keyword !== 'boolean')
  const named =
    first?.params &&
    Object.values(first.params).find((param) => Array.isArray(param) && typeof param[0] === 'string')
  const extra = first && ['required', 'additionalProperties'].includes(first.keyword) ? named?.[0] : undefined
  const path = [...(first?.instancePath.split('/').filter(Boolean) ?? []), ...(extra ? [extra] : [])]
  return new Failure('invalid_request', {
    field: path.join('.').slice(0, 200),
    message: first?.message ?? 'Not valid',
  })
}

function decodeQuery(properties: TProperties, query: unknown): Record<string, unknown> {
  // Made by `fromEntries`, where `__proto__` is a name like others and so an unknown field.
  return Object.fromEntries(
    Object.entries(query ?? {}).map(([key, value]) => {
      const schema = Object.hasOwn(properties, key) ? properties[key] : undefined
      return [key, decodeText(schema && 'type' in schema ? schema.type : undefined, value)]
    }),
  )
}

function decodeText(type: unknown, value: unknown): unknown {
  if (type === 'integer' && typeof value === 'string' && /^-?\d{1,15}$/.test(value)) return Number(value)
  if (type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true'
  return value
}
