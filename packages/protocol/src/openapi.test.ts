import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import { errors } from './errors.ts'
import { namedSchemas } from './named-schemas.ts'
import { errorsOf, openApi } from './openapi.ts'
import { operationNames, operationOf } from './operations/index.ts'

type Document = {
  paths: Record<string, Record<string, Described>>
  components: { schemas: Record<string, unknown>; responses: Record<string, unknown> }
}
type Described = {
  operationId: string
  parameters?: { in: string; name: string; required: boolean }[]
  responses: Record<string, { $ref?: string }>
  security?: unknown[]
  'x-access': string
}

const document = openApi('1.2.3') as Document
const described = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    path,
    method: method.toUpperCase(),
    ...operation,
  })),
)

test('the document is valid OpenAPI 3.1', async () => {
  const validator = new Validator()
  expect(await validator.validate(structuredClone(document))).toEqual({ valid: true })
  expect(validator.version).toBe('3.1')
})

test('every operation stands in it once, under its own method and path', () => {
  expect(described.map(({ operationId }) => operationId).sort()).toEqual([...operationNames].sort())
  for (const { operationId, method, path } of described) {
    expect(operationOf(operationId as (typeof operationNames)[number])).toMatchObject({ method, path })
  }
})

test('no two operations share a method and a path, whatever their parameters are called', () => {
  const routes = operationNames.map((name) => {
    const { method, path } = operationOf(name)
    return `${method} ${path.replaceAll(/\{\w+\}/g, '{}')}`
  })
  expect(new Set(routes).size).toBe(routes.length)
})

test('the parameters of a path are those of its operation', () => {
  for (const name of operationNames) {
    const { path, params = {} } = operationOf(name)
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter)
    expect(named.sort(), name).toEqual(Object.keys(params).sort())
  }
})

test('[A1] every operation but the public ones asks for a token, and says what refuses it', () => {
  for (const { operationId, security, responses, 'x-access': access } of described) {
    expect(security, operationId).toEqual(access === 'public' ? [] : undefined)
    if (access !== 'public')
      expect(Object.keys(responses), operationId).toEqual(expect.arrayContaining(['401', '403']))
    for (const status of ['400', '429', '503']) expect(Object.keys(responses), operationId).toContain(status)
  }
})

test('[E1] every error of every operation is a row of the catalogue, answered with its status', () => {
  for (const { operationId, responses } of described) {
    const codes = errorsOf(operationOf(operationId as (typeof operationNames)[number]))
    const statuses = new Set(codes.map((code) => String(errors[code].status)))
    const failures = Object.keys(responses).filter((status) => Number(status) >= 400)
    expect(new Set(failures), operationId).toEqual(statuses)
  }
})

test('a download has any type, and may be a part or a part that is not there', () => {
  const { responses } = described.find(({ operationId }) => operationId === 'attachment.download') ?? {}
  expect(responses).toMatchObject({
    200: { content: { '*/*': {} } },
    206: { content: { '*/*': {} } },
    416: { $ref: '#/components/responses/RangeNotSatisfiable' },
  })
})

test('every reference leads somewhere, and no two schemas say the same under two names', () => {
  const text = JSON.stringify(document)
  for (const [, kind, name] of text.matchAll(/"#\/components\/(schemas|responses)\/([^"]+)"/g)) {
    expect(document.components[kind as 'schemas' | 'responses']).toHaveProperty([String(name)])
  }
  const said = Object.values(namedSchemas).map((schema) => JSON.stringify(schema))
  expect(new Set(said).size).toBe(said.length)
})

test('tuples are written as JSON Schema 2020-12 writes them', () => {
  expect(document.components.schemas.Grant).toMatchObject({
    properties: { userIds: { prefixItems: [{}, {}], items: false } },
  })
})
