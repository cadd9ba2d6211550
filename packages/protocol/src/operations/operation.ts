import type { Static, TObject, TProperties, TSchema } from 'typebox'
import type { ErrorCode } from '../errors.ts'

/**
 * Who may call an operation at all. `public`: no token. `user`: any signed-in person or key. The rest name the
 * lowest role. What somebody may do to one conversation is decided by the verb, from participation and inbox.
 */
export type Access = 'public' | 'user' | 'agent' | 'supervisor' | 'admin' | 'owner'

export type Operation = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below `/api/v1`; parameters in braces, as OpenAPI writes them. */
  path: string
  summary: string
  access: Access
  params?: TProperties
  query?: TProperties
  body?: TProperties
  /** Absent: 204 without a body. */
  result?: TSchema
  status: 200 | 201 | 204
  errors: readonly ErrorCode[]
  /** Also a command of the realtime transports, under the operation's own name. */
  realtime: boolean
  /** `file`: multipart in; `bytes`: anything but JSON out. Both have a handler of their own. */
  form?: 'file' | 'bytes'
}

type Given = Omit<Operation, 'status' | 'realtime' | 'errors'> &
  Partial<Pick<Operation, 'status' | 'realtime' | 'errors'>>

/** Fills in what most operations share, and keeps the literal type of what was given. */
export function operation<const T extends Given>(given: T) {
  const status: Operation['status'] = given.status ?? (given.result ? 200 : 204)
  return { realtime: false, errors: [] as readonly ErrorCode[], ...given, status }
}

type Part<T, K extends 'params' | 'query' | 'body'> = T extends { [P in K]: infer U extends TProperties }
  ? Static<TObject<U>>
  : unknown

/** What a verb receives: path, query and body in one object, already valid. */
export type Input<T> = Part<T, 'params'> & Part<T, 'query'> & Part<T, 'body'>
export type Result<T> = T extends { result: infer R extends TSchema } ? Static<R> : void
