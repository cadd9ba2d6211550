import { type TSchema, Type } from 'typebox'
import { type ErrorCode, errors } from './errors.ts'
import { namedSchemas, nameOf, pascalCase } from './named-schemas.ts'
import { type Operation, operationNames, operationOf } from './operations/index.ts'

export { ErrorDetail } from './named-schemas.ts'

type Json = { [key: string]: unknown }

/** The OpenAPI 3.1 document of the REST API, derived from the operations table. */
export function openApi(version: string): Json {
  const paths: Record<string, Json> = {}
  const responses: Record<string, Json> = {}
  for (const name of operationNames) {
    const operation = operationOf(name)
    paths[operation.path] = {
      ...paths[operation.path],
      [operation.method.toLowerCase()]: describeOperation(name, operation, responses),
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Parley',
      version,
      description:
        'Live chat that a team can run itself. Rules that hold for every operation are in SPEC.md; what travels over the realtime transports is in events.md.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/api/v1' }],
    security: [{ bearer: [] }],
    tags: [...new Set(operationNames.map(tagOf))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'An access token, an API key, or a token signed by a trusted identity key.',
        },
      },
      responses: Object.fromEntries(Object.entries(responses).sort(([a], [b]) => (a < b ? -1 : 1))),
      schemas: Object.fromEntries(
        Object.entries(namedSchemas).map(([name, schema]) => [name, describeSchema(schema, { root: true })]),
      ),
    },
  }
}

function describeOperation(name: string, operation: Operation, responses: Record<string, Json>): Json {
  return {
    operationId: name,
    tags: [tagOf(name)],
    summary: operation.summary,
    'x-access': operation.access,
    'x-realtime': operation.realtime,
    ...(operation.access === 'public' && { security: [] }),
    ...describeParameters(operation),
    ...describeBody(operation),
    responses: { ...describeSuccess(operation), ...describeErrors(operation, responses) },
  }
}

const tagOf = (name: string) => name.slice(0, name.indexOf('.'))

function describeParameters({ params = {}, query = {} }: Operation): Json {
  const parameters = [
    ...Object.entries(params).map(([name, schema]) => describeParameter('path', name, schema)),
    ...Object.entries(query).map(([name, schema]) => describeParameter('query', name, schema)),
  ]
  return parameters.length > 0 ? { parameters } : {}
}

function describeParameter(where: 'path' | 'query', name: string, schema: TSchema): Json {
  return { in: where, name, required: where === 'path' || isRequired(schema), schema: describeSchema(schema) }
}

const isRequired = (schema: TSchema) => !Type.IsOptional(schema)

function describeBody({ body, form }: Operation): Json {
  if (form === 'file') {
    const file = { type: 'string', contentMediaType: 'application/octet-stream' }
    const schema = { type: 'object', required: ['file'], properties: { file } }
    return { requestBody: { required: true, content: { 'multipart/form-data': { schema } } } }
  }
  if (!body) return {}
  const schema = describeSchema(Type.Object(body, { additionalProperties: false }))
  const required = Object.values(body).some(isRequired)
  return { requestBody: { required, content: { 'application/json': { schema } } } }
}

function describeSuccess({ status, result, form }: Operation): Json {
  if (form === 'bytes') {
    return { 200: describeBytes('The bytes.'), 206: describeBytes('The range that `Range` asks for.') }
  }
  if (!result) return { 204: { description: 'Done.' } }
  const description = status === 201 ? 'Made, or found as it was made before.' : 'Done.'
  return { [status]: { description, content: { 'application/json': { schema: describeSchema(result) } } } }
}

/** Of whatever type they are: `mimeType` of the attachment, or `image/webp` for a thumbnail. */
const describeBytes = (description: string): Json => ({ description, content: { '*/*': {} } })

/** Adds the answers it refers to to `responses`; operations that fail in the same ways share them. */
function describeErrors(operation: Operation, responses: Record<string, Json>): Json {
  const byStatus = Object.groupBy(errorsOf(operation), (code) => errors[code].status)
  const references: Json = {}
  for (const [status, codes = []] of Object.entries(byStatus)) {
    const name = codes.map(pascalCase).join('Or')
    responses[name] = describeRefusal(codes)
    references[status] = { $ref: `#/components/responses/${name}` }
  }
  return references
}

function describeRefusal(codes: ErrorCode[]): Json {
  const schema = {
    allOf: [{ $ref: '#/components/schemas/ErrorBody' }],
    properties: { error: { properties: { code: { enum: codes } } } },
  }
  const waits = codes.some((code) => errors[code].status === 429 || errors[code].status === 503)
  return {
    description: codes.map((code) => `\`${code}\`: ${errors[code].message}`).join('\n\n'),
    ...(waits && {
      headers: { 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' } } },
    }),
    content: { 'application/json': { schema } },
  }
}

/** Every way an operation can fail that a caller should expect: its own, and those of its access and its form. */
export function errorsOf({ method, access, errors: own }: Operation): ErrorCode[] {
  const possible = new Set<ErrorCode>([
    ...own,
    ...always,
    ...(method === 'GET' ? [] : ofBodies),
    ...(access === 'public' ? [] : ofTokens),
  ])
  if (access !== 'public' && access !== 'user') possible.add('forbidden')
  return (Object.keys(errors) as ErrorCode[]).filter((code) => possible.has(code))
}

const always: ErrorCode[] = [
  ...(['invalid_request', 'bad_text', 'rate_limited'] as const),
  ...(['internal', 'outcome_unknown', 'overloaded', 'unavailable'] as const),
]
/** A body is read before anybody looks whether the operation takes one. */
const ofBodies: ErrorCode[] = ['malformed_json', 'too_deep', 'too_large', 'unsupported_media_type']
/** `origin_refused`: the token is a visitor's, and the page is none of its inbox. */
const ofTokens: ErrorCode[] = ['unauthenticated', 'token_expired', 'origin_refused']

/** A schema in the words of JSON Schema 2020-12, with references to those that have a name. */
function describeSchema(schema: unknown, { root = false } = {}): unknown {
  if (Array.isArray(schema)) return schema.map((item) => describeSchema(item))
  if (typeof schema !== 'object' || schema === null) return schema
  const name = root ? undefined : nameOf(schema)
  if (name) return { $ref: `#/components/schemas/${name}` }
  const { items, additionalItems, enum: values, ...rest } = schema as Json
  const described: Json = {}
  if (Array.isArray(values) && values.every((value) => typeof value === 'string')) described.type = 'string'
  if (values) described.enum = values
  for (const [key, value] of Object.entries(rest)) {
    described[key] = isMap(key) ? describeEach(value as Json) : describeSchema(value)
  }
  if (Array.isArray(items)) {
    described.prefixItems = describeSchema(items)
    described.items = additionalItems ?? true
  } else if (items) described.items = describeSchema(items)
  return described
}

/** Keywords under which schemas stand by name, so that a field called `items` is not taken for the keyword. */
const isMap = (keyword: string) => keyword === 'properties' || keyword === 'patternProperties'
const describeEach = (schemas: Json) =>
  Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, describeSchema(schema)]))
