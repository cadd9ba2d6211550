import type { Credentials } from './api.ts'
import { errorFrom, ParleyError, unanswered, unreachable } from './error.ts'
import { realtimeRoutes, restRoutes } from './routes.ts'

/**
 * REST, one request at a time: path and query from the route, the rest as JSON; answers become values or a
 * ParleyError. A token that the server refuses is swapped once, and the request repeated.
 */
export type HttpOptions = { baseUrl: string; fetch?: typeof fetch }

export type Http = {
  /** A request below /api/v1. `body` is sent as JSON, form data as it is. Fails with a ParleyError. */
  request(
    method: string,
    path: string,
    options?: { token?: string; body?: unknown; signal?: AbortSignal; timeoutMs?: number },
  ): Promise<unknown>
  /** The answer itself, for streams. Fails with a ParleyError unless the status is 2xx. */
  open(
    method: string,
    path: string,
    options?: { token?: string; body?: unknown; signal?: AbortSignal },
  ): Promise<Response>
  url(path: string): string
}

export const requestMs = 20_000

export function http(options: HttpOptions): Http {
  const url = (path: string) => `${options.baseUrl.replace(/\/$/, '')}/api/v1${path}`
  const self: Http = {
    url,
    async open(method, path, { token, body, signal } = {}) {
      const headers: Record<string, string> = {}
      if (token) headers.authorization = `Bearer ${token}`
      const form = body instanceof FormData
      if (body !== undefined && !form) headers['content-type'] = 'application/json'
      let response: Response
      try {
        response = await (options.fetch ?? fetch)(url(path), {
          method,
          headers,
          body: form ? body : JSON.stringify(body),
          signal,
          cache: 'no-store',
          credentials: 'omit',
        })
      } catch {
        throw unreachable()
      }
      if (response.ok) return response
      const failed = errorFrom(
        await response.json().then(
          (answer) => (answer as { error?: unknown } | null)?.error,
          () => null,
        ),
        response.status,
      )
      const after = Number(response.headers.get('retry-after'))
      if (after > 0) failed.details.retryAfter ??= after
      throw failed
    },
    async request(method, path, { token, body, signal, timeoutMs = requestMs } = {}) {
      const ending = new AbortController()
      const end = () => ending.abort()
      const timer = setTimeout(end, timeoutMs)
      signal?.addEventListener('abort', end)
      try {
        const response = await self.open(method, path, { token, body, signal: ending.signal })
        return response.status === 204 ? undefined : await response.json()
      } catch (error) {
        throw ending.signal.aborted && !signal?.aborted ? unanswered() : errorFrom(error)
      } finally {
        clearTimeout(timer)
        signal?.removeEventListener('abort', end)
      }
    },
  }
  return self
}

type Routes = Readonly<Record<string, string>>

/** Method, path and body of an operation. What is not in the path goes into the query of a GET, else into the body. */
export function routeOf(name: string, input: Record<string, unknown> = {}, more: Routes = {}) {
  const row = ({ ...realtimeRoutes, ...restRoutes, ...more } as Routes)[name]
  if (!row) throw new ParleyError('unknown_operation', `${name} needs @parley/client/staff.`, false)
  const [method = '', template = ''] = row.split(' ')
  const rest = { ...input }
  let path = template.replace(/\{(\w+)\}/g, (_, key: string) => {
    delete rest[key]
    return encodeURIComponent(String(input[key]))
  })
  if (method === 'GET') {
    const query = new URLSearchParams()
    for (const [key, value] of Object.entries(rest)) if (value !== undefined) query.set(key, String(value))
    if (query.size) path += `?${query}`
    return { method, path, body: undefined }
  }
  return { method, path, body: Object.keys(rest).length || method !== 'DELETE' ? rest : undefined }
}

/** With a token; with another one if the server refuses the first. */
export async function signed<T>(credentials: Credentials, send: (token: string) => Promise<T>): Promise<T> {
  const token = await credentials.accessToken()
  try {
    return await send(token)
  } catch (error) {
    if (errorFrom(error).status !== 401) throw error
    const other = await credentials.accessToken(token)
    if (other === token) throw error
    return send(other)
  }
}
