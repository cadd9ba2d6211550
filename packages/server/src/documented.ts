import { type ControlFrame, type OperationName, operationOf } from '@parley/protocol'
import { ErrorDetail, errorsOf, openApi } from '@parley/protocol/openapi'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { isOperationName } from './operations.ts'
import type { Answer } from './testing.ts'

type Responses = Record<string, { $ref?: string; content?: Record<string, unknown> }>
type Reply = Extract<ControlFrame, { type: 'reply' }>
type Document = {
  paths: Record<string, Record<string, { operationId: OperationName; responses: Responses }>>
}

const described = Object.entries((openApi('test') as Document).paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, { operationId, responses }]) => ({
    method: method.toUpperCase(),
    form: new RegExp(`^/api/v1${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    name: operationId,
    statuses: Object.keys(responses),
    codes: errorsOf(operationOf(operationId)) as string[],
  })),
)

/**
 * Throws when an operation answers with a status or a code that the API document does not name for it (SPEC E9), or
 * with anything but what the schema of its result, or of an error, says (SPEC B7, E2).
 */
export function requireDocumented(
  method: string,
  path: string,
  { status, body }: Pick<Answer, 'status' | 'body'>,
): void {
  const [pathname = ''] = path.split('?')
  const operation = described.find((one) => one.method === method && one.form.test(pathname))
  if (!operation) return
  if (!operation.statuses.includes(String(status)))
    throw new Error(`${operation.name} answered ${status}, which the API document does not name`)
  if (status >= 400) requireNamed(operation.name, operation.codes, body?.error)
  else requireResult(operation.name, body)
}

/** The same for a reply to a command. A frame is nested JSON even where its command has no body. */
export function requireDocumentedReply(command: string, reply: Reply): void {
  if (!isOperationName(command) || !operationOf(command).realtime) return
  if (reply.ok) return requireResult(command, reply.result)
  requireNamed(command, [...errorsOf(operationOf(command)), 'too_deep'], reply.error)
}

function requireNamed(name: string, codes: readonly string[], error: unknown): void {
  const { code } = (error ?? {}) as { code?: unknown }
  if (!codes.includes(String(code)))
    throw new Error(`${name} was refused with ${code}, which the API document does not name`)
  if (!refusal.Check(error))
    throw new Error(`${name} was refused other than as documented: ${JSON.stringify(error)}`)
}

/** An error and what may stand beside its code, without anything else (SPEC E2). */
const refusal = Compile(Type.Object(ErrorDetail.properties, { additionalProperties: false }))

const results = new Map<OperationName, ReturnType<typeof Compile>>()

function requireResult(name: OperationName, given: unknown): void {
  const { result } = operationOf(name)
  if (!result) return
  const form = results.get(name) ?? Compile(result)
  results.set(name, form)
  if (!form.Check(given))
    throw new Error(`${name} answered other than its schema: ${JSON.stringify(form.Errors(given))}`)
}
