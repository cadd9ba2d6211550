import { connectionCommands, type OperationName, operationNames, operationOf } from '@parley/protocol'
import { type TProperties, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Answer, RestOptions } from '../src/testing.ts'

export type Input = Record<string, unknown>
/** Values for fields by their name: ids of things that exist. One that is undefined is left out. */
export type Known = Record<string, unknown>
export type Where = 'params' | 'query' | 'body'
/** One input with one thing wrong. `field` is where. */
export type Mutant = { where: Where; field: string; what: string; input: Input }

type Schema = {
  type?: string
  enum?: unknown[]
  const?: unknown
  anyOf?: Schema[]
  items?: Schema | Schema[]
  properties?: Record<string, Schema>
  patternProperties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: unknown
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
}
type Path = (string | number)[]
type Spot = { path: Path; schema: Schema }

/** Operations that take and give JSON. */
export const spokenNames = operationNames.filter((name) => !operationOf(name).form)

/** A valid input of an operation, every optional field included. */
export function exampleOf(name: OperationName, known: Known): Input {
  const { params, query, body } = operationOf(name)
  return exampleFor({ ...params, ...query, ...body }, known)
}

export const exampleFor = (fields: TProperties, known: Known): Input =>
  Object.fromEntries(
    Object.entries(fields).map(([name, schema]) => [name, knownOr(known, name, schema as Schema)]),
  )

const knownOr = (known: Known, name: string, schema: Schema) =>
  Object.hasOwn(known, name) ? known[name] : valid(schema, known)

function valid(schema: Schema, known: Known): unknown {
  if (schema.const !== undefined) return schema.const
  if (schema.enum) return schema.enum[0]
  if (schema.anyOf?.[0]) return valid(schema.anyOf[0], known)
  switch (schema.type) {
    case 'boolean':
      return true
    case 'integer':
    case 'number':
      return schema.minimum ?? 1
    case 'array':
      return Array.isArray(schema.items)
        ? schema.items.map((item) => valid(item, known))
        : schema.items
          ? [valid(schema.items, known)]
          : []
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([key, child]) => [
          key,
          known[key] ?? valid(child, known),
        ]),
      )
    case 'string':
      return validText(schema)
    default:
      return {}
  }
}

const texts = [
  'Some text',
  '00000000-0000-7000-8000-000000000000',
  '2026-01-31T09:15:00.000Z',
  'somebody@example.com',
  'https://example.com',
  '#2f6f5e',
  'slug',
]

function validText(schema: Schema): string {
  const fits = (text: string) =>
    (!schema.pattern || new RegExp(schema.pattern).test(text)) && text.length <= (schema.maxLength ?? 1e6)
  const found = texts.find(fits)
  if (found === undefined) throw new Error(`No example text fits ${JSON.stringify(schema)}`)
  return found.padEnd(schema.minLength ?? 0, ' and more')
}

/** Every place of an input where text stands, lists and free objects included, in each part of the operation. */
export function* textSpots(name: OperationName, known: Known): Generator<{ where: Where } & Spot> {
  for (const where of ['params', 'query', 'body'] as const) {
    for (const [field, schema] of Object.entries(operationOf(name)[where] ?? {})) {
      for (const spot of spotsOf([field], schema as Schema, known[field])) {
        if (isText(spot.schema)) yield { where, ...spot }
      }
    }
  }
}

const isText = (schema: Schema) =>
  schema.type === 'string' || (schema.enum?.every((value) => typeof value === 'string') ?? false)

/** The schema itself and what is inside it. Free objects have one text of their own choosing. */
function* spotsOf(path: Path, schema: Schema, example: unknown): Generator<Spot> {
  const [first] = schema.anyOf ?? []
  if (first) return yield* spotsOf(path, first, example)
  yield { path, schema }
  const items = Array.isArray(schema.items) ? schema.items[0] : schema.items
  if (items) yield* spotsOf([...path, 0], items, undefined)
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    yield* spotsOf([...path, key], child, undefined)
  }
  if (schema.patternProperties) {
    yield { path: [...path, 'free'], schema: { type: 'string' } }
    yield { path: [...path, 'free', 'deep', 0], schema: { type: 'string' } }
  }
}

/** A copy with another value at one place; what lies on the way there is made. */
export function withValue(input: Input, path: Path, value: unknown): Input {
  const copy = structuredClone(input)
  let holder = copy as Record<string | number, unknown>
  path.slice(0, -1).forEach((step, i) => {
    if (typeof holder[step] !== 'object' || holder[step] === null) {
      holder[step] = typeof path[i + 1] === 'number' ? [] : {}
    }
    holder = holder[step] as Record<string | number, unknown>
  })
  const last = path.at(-1) ?? ''
  if (value === undefined) delete holder[last]
  else Object.defineProperty(holder, last, { value, enumerable: true, configurable: true, writable: true })
  return copy
}

/** An object or a list so many levels deep. */
export function nested(depth: number): unknown {
  let value: unknown = {}
  for (let level = 1; level < depth; level++) value = level % 2 ? [value] : { in: value }
  return value
}

/** Fields that a server fills in itself, and names that JavaScript gives a meaning to. */
export const foreignFields = [
  'role',
  'workspaceId',
  'seq',
  'senderId',
  'senderRole',
  'visibility',
  'id',
  'createdAt',
  'isAdmin',
  'actorId',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
]

/** Every way in which the form of an operation's input can be wrong: fields of other types, missing, more, too long. */
export function* formMutants(name: OperationName, known: Known): Generator<Mutant> {
  const operation = operationOf(name)
  const example = exampleOf(name, known)
  for (const where of ['params', 'query', 'body'] as const) {
    const fields = operation[where]
    if (where === 'body' ? operation.method === 'GET' : !fields) continue
    const strict = Compile(Type.Object(fields ?? {}, { additionalProperties: false }))
    for (const { path, what, value } of faultsOf(where, fields ?? {}, example)) {
      const input = withValue(example, path, value)
      const part = Object.fromEntries(
        Object.entries(input).filter(([key]) =>
          where === 'body' ? !isIn(operation, key) : key in (fields ?? {}),
        ),
      )
      if (where === 'body' && strict.Check(part)) continue
      yield { where, field: path.join('.'), what, input }
    }
  }
}

const isIn = ({ params = {}, query = {} }: { params?: TProperties; query?: TProperties }, key: string) =>
  Object.hasOwn(params, key) || Object.hasOwn(query, key)

type Fault = { path: Path; what: string; value: unknown }

function* faultsOf(where: Where, fields: TProperties, example: Input): Generator<Fault> {
  for (const [field, schema] of Object.entries(fields)) {
    if (!Type.IsOptional(schema) && where !== 'params')
      yield { path: [field], what: 'missing', value: undefined }
    for (const spot of spotsOf([field], schema as Schema, example[field])) {
      const faults = where === 'body' ? bodyFaults(spot.schema) : textFormFaults(spot.schema)
      for (const [what, value] of faults) {
        if (where === 'params' && value === '') continue
        yield { path: spot.path, what, value }
      }
    }
  }
  if (where !== 'body') return
  for (const extra of foreignFields) {
    if (!Object.hasOwn(fields, extra)) yield { path: [extra], what: 'unknown field', value: { admin: true } }
  }
}

const ofOtherTypes: [string, unknown][] = [
  ['null', null],
  ['a boolean', true],
  ['a number', 7],
  ['a text', 'seven'],
  ['a list', [[]]],
  ['an object', { a: { b: 1 } }],
]

/** For values in JSON. What a free object or an untyped value may hold is not wrong, and left out by the caller. */
function* bodyFaults(schema: Schema): Generator<[string, unknown]> {
  yield* ofOtherTypes
  yield* boundaries(schema)
  if (schema.type === 'integer') for (const value of [1.5, 1e308, -0.5, 2 ** 53]) yield [`${value}`, value]
}

function* boundaries(schema: Schema): Generator<[string, unknown]> {
  if (schema.minimum !== undefined) yield ['too small', schema.minimum - 1]
  if (schema.maximum !== undefined) yield ['too large', schema.maximum + 1]
  if (schema.minLength) yield ['too short', 'x'.repeat(schema.minLength - 1)]
  if (schema.maxLength !== undefined) yield ['too long', 'x'.repeat(schema.maxLength + 1)]
  if (schema.pattern) yield ['of another form', ' ']
  if (schema.minItems) yield ['too few', []]
  if (schema.maxItems !== undefined && !Array.isArray(schema.items) && schema.items) {
    yield ['too many', Array(schema.maxItems + 1).fill(valid(schema.items, {}))]
  }
}

/** For values in a URL, where everything is text. */
function* textFormFaults(schema: Schema): Generator<[string, unknown]> {
  if (schema.type === 'integer') {
    for (const text of ['x', '1.5', '-1', '', '1e3', 'NaN', 'Infinity', '0x10', '1 ', '9'.repeat(30)])
      yield [text, text]
  }
  if (schema.type === 'boolean') for (const text of ['yes', '1', '', 'TRUE']) yield [text, text]
  if (schema.enum) for (const text of ['', 'nonsense', '__proto__']) yield [text, text]
  if (schema.type === 'string') {
    for (const [what, value] of boundaries(schema)) yield [what, value]
  }
}

type Request = { method: string; path: string; options: RestOptions }

/** An input as a request. Takes texts that no well-behaved client could send. */
export function requestOf(name: OperationName, input: Input): Request {
  const { method, path, params = {}, query = {}, body } = operationOf(name)
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, key: string) => percent(String(input[key])))
  const search = Object.keys(query)
    .filter((key) => input[key] !== undefined)
    .map((key) => `${key}=${percent(String(input[key]))}`)
  const rest = Object.fromEntries(
    Object.entries(input).filter(([key]) => !Object.hasOwn(params, key) && !Object.hasOwn(query, key)),
  )
  const hasBody = method !== 'GET' && (body || Object.keys(rest).length > 0)
  return {
    method,
    path: `/api/v1${filled}${search.length > 0 ? `?${search.join('&')}` : ''}`,
    options: hasBody ? { body: rest } : {},
  }
}

/** Unpaired surrogates as the three bytes that naive encoders make of them. */
const percent = (text: string) => (text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80')

export type Asks = (method: string, path: string, options?: RestOptions) => Promise<Answer>

export function ask(rest: Asks, name: OperationName, input: Input, token: string | null): Promise<Answer> {
  const { method, path, options } = requestOf(name, input)
  return rest(method, path, { ...options, token })
}

/** Everything that can be said on a live connection, with the fields of each. */
export const commands: { name: string; fields: TProperties }[] = [
  ...operationNames.flatMap((name) => {
    const { realtime, params, query, body } = operationOf(name)
    return realtime ? [{ name: name as string, fields: { ...params, ...query, ...body } }] : []
  }),
  ...Object.entries(connectionCommands).map(([name, { input }]) => ({
    name,
    fields: input.properties as TProperties,
  })),
]

export function* commandTextSpots(fields: TProperties): Generator<Path> {
  for (const [field, schema] of Object.entries(fields)) {
    for (const spot of spotsOf([field], schema as Schema, undefined)) if (isText(spot.schema)) yield spot.path
  }
}

export function* commandMutants(
  fields: TProperties,
  known: Known,
): Generator<{ what: string; input: Input }> {
  const strict = Compile(Type.Object(fields, { additionalProperties: false }))
  const example = exampleFor(fields, known)
  for (const { path, what, value } of faultsOf('body', fields, example)) {
    const input = withValue(example, path, value)
    // A command’s own name and number.
    if ('id' in input || 'type' in input) continue
    if (!strict.Check(input)) yield { what: `${path.join('.')} ${what}`, input }
  }
}
