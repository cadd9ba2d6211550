import { type OperationName, operationOf } from '@parley/protocol'
import { errorsOf, openApi } from '@parley/protocol/openapi'
import { isOperationName } from './operations.ts'
import type { Answer } from './testing.ts'

type Responses = Record<string, { $ref?: string; content?: Record<string, unknown> }>
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

/** Throws when an operation answers with a status or a code that the API document does not name for it (SPEC E9). */
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
  if (status >= 400) requireNamed(operation.name, operation.codes, body?.error?.code)
}

/** The same for a reply to a command. A frame is nested JSON even where its command has no body. */
export function requireDocumentedReply(command: string, code: unknown): void {
  if (!isOperationName(command) || !operationOf(command).realtime) return
  requireNamed(command, [...errorsOf(operationOf(command)), 'too_deep'], code)
}

function requireNamed(name: string, codes: readonly string[], code: unknown): void {
  if (!codes.includes(String(code)))
    throw new Error(`${name} was refused with ${code}, which the API document does not name`)
}
