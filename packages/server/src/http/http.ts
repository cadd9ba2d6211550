import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import { type ErrorCode, limits, type OperationName, operationNames, operationOf } from '@parley/protocol'
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import helmet from 'helmet'
import { Failure, faultOf, invalid } from '../chat/failure.ts'
import { requireOrigin } from '../chat/origins.ts'
import { authenticate } from '../chat/sessions.ts'
import { errorBody } from '../errors.ts'
import type { Parley } from '../parley.ts'
import { callerOf, trustedHops } from '../realtime/caller.ts'
import { streamRoutes } from '../realtime/streams.ts'
import { readJson } from '../validation.ts'
import { requirePlainBody } from './body-coding.ts'
import { fileRoutes } from './files.ts'
import { pageRoutes } from './pages.ts'
import { operationRoutes } from './routes.ts'
import { statusRoutes } from './status.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    operation?: OperationName
  }
}

/** The HTTP side of the server: our API, the realtime streams, status and pages. */
export async function makeHttp(parley: Parley): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: parley.log,
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: trustedHops(parley.chat.config.proxies),
    bodyLimit: limits.jsonBodyBytes,
    requestTimeout: 60_000,
    connectionTimeout: 0,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 600 },
    // What fails before there is a route: an address whose escapes are not UTF-8, a request while we stop.
    frameworkErrors: (error, _request, reply) => {
      refuse(reply as FastifyReply, failureOf(error))
    },
    clientErrorHandler: refuseUnreadable,
    // Node.js would answer without a body.
    http: { requireHostHeader: false },
    return503OnClosing: false,
  }) as unknown as FastifyInstance
  app.server.on('checkExpectation', refuseExpectation)
  readJsonOurselves(app)
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const failure = failureOf(error)
    if (failure.status >= 500)
      request.log.error({ err: failure.cause ?? error, path: request.routeOptions.url }, 'request failed')
    return refuse(reply, failure)
  })
  app.addHook('onRequest', async ({ url, headers, raw }) => {
    if (headers.host === undefined && raw.httpVersion === '1.1')
      throw invalid('', 'An HTTP/1.1 request names its host; send a Host header')
    if (!isDecodable(url)) throw new Failure('bad_text')
  })
  app.setNotFoundHandler((request, reply) => {
    const allowed = methodsAt(request.url)
    if (allowed.length === 0) return reply.code(404).send({ error: errorBody(new Failure('not_found')) })
    return reply
      .code(405)
      .header('Allow', allowed.join(', '))
      .send({ error: errorBody(new Failure('method_not_allowed')) })
  })
  // Not the plugin: it makes all of helmet anew for each request.
  const setSecurityHeaders = helmet(helmetOptions)
  app.addHook('onRequest', (request, reply, next) => setSecurityHeaders(request.raw, reply.raw, () => next()))
  await app.register(rateLimit, {
    global: false,
    errorResponseBuilder: (_request, context) =>
      new Failure('rate_limited', { retryAfter: Math.ceil(context.ttl / 1000) }),
  })
  app.addHook('onSend', async (request, reply) => {
    if (request.url.startsWith('/api/') && !reply.hasHeader('Cache-Control'))
      reply.header('Cache-Control', 'no-store')
  })
  app.addHook('onResponse', async (request, reply) => {
    const operation = request.routeOptions.config?.operation ?? 'other'
    parley.metrics.requests.observe({ operation, status: String(reply.statusCode) }, reply.elapsedTime / 1000)
    request.log.debug(
      { method: request.method, path: request.routeOptions.url, status: reply.statusCode },
      'answered',
    )
  })

  const who = async (request: FastifyRequest) => {
    const caller = callerOf(request.raw, parley.chat.config.proxies)
    const actor = await authenticate(parley.chat, bearerOf(request), caller)
    await requireOrigin(parley.chat, actor, caller)
    return actor
  }
  await app.register(async (api) => {
    // Tokens travel in headers that pages set themselves, never in cookies: any page may ask, none is trusted for it.
    await api.register(cors, {
      origin: '*',
      methods,
      credentials: false,
      // Strictness is refused by the plugin in a form of its own.
      strictPreflight: false,
      exposedHeaders: ['Retry-After'],
      maxAge: 600,
    })
    operationRoutes(api, parley, who)
    streamRoutes(api, parley, who)
    await fileRoutes(api, parley.chat, who)
  })
  statusRoutes(app, parley)
  await pageRoutes(app, parley)
  return app
}

function refuse(reply: FastifyReply, failure: Failure) {
  if (failure.status === 429 || failure.status === 503) {
    reply.header('Retry-After', String(failure.details.retryAfter ?? 1))
  }
  return reply.code(failure.status).send({ error: errorBody(failure) })
}

/** Bytes that are no HTTP request are answered in the same shape, and their connection ends. */
function refuseUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const fault = httpFaults[error.code ?? '']
  const failure = fault ? new Failure(fault) : unreadable()
  const body = refusalText(failure)
  socket.end(
    `HTTP/1.1 ${failure.status} ${STATUS_CODES[failure.status]}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}

const httpFaults: Record<string, ErrorCode> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}

const unreadable = () => invalid('', 'The request cannot be read')
const refusalText = (failure: Failure) => JSON.stringify({ error: errorBody(failure) })

/** What a client expects beyond `100-continue` (RFC 9110 §10.1.1); Node.js asks here before there is a request. */
function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const failure = new Failure('expectation_failed')
  response
    .writeHead(failure.status, { 'Content-Type': 'application/json', Connection: 'close' })
    .end(refusalText(failure))
}

/** Routes would refuse such a path, and take such a query as it stands. */
function isDecodable(url: string): boolean {
  try {
    decodeURIComponent(url)
    return true
  } catch {
    return false
  }
}

function bearerOf(request: FastifyRequest): string {
  const header = request.headers.authorization ?? ''
  // Schemes are named in any case (RFC 9110 §11.1).
  if (!/^bearer /i.test(header)) throw new Failure('unauthenticated')
  return header.slice('Bearer '.length).trim()
}

/** One parser for REST and sockets, so that both refuse the same texts in the same words. */
function readJsonOurselves(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, ({ headers }, body: Buffer, done) => {
    try {
      requirePlainBody(headers)
      done(null, readJson(body))
    } catch (error) {
      done(faultOf(error))
    }
  })
}

function failureOf(error: FastifyError | Failure): Failure {
  if (error instanceof Failure) return error
  if (error.code === 'FST_ERR_BAD_URL') return new Failure('bad_text')
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE' || error.statusCode === 413) return new Failure('too_large')
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE' || error.statusCode === 415)
    return new Failure('unsupported_media_type')
  // The client went away in the middle of its body; nobody reads the answer.
  if (error.message === 'aborted' && error.code === 'ECONNRESET') return unreadable()
  if (error.statusCode && error.statusCode >= 400 && error.statusCode < 500) return unreadable()
  return faultOf(error)
}

const paths = operationNames.map((name) => {
  const { method, path } = operationOf(name)
  return { method, form: new RegExp(`^/api/v1${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`) }
})

/** What a browser may be told to allow other pages. */
const methods = ['HEAD', ...new Set(operationNames.map((name) => operationOf(name).method))]

function methodsAt(url: string): string[] {
  const path = url.split('?')[0] ?? ''
  return [...new Set(paths.filter(({ form }) => form.test(path)).map(({ method }) => method))]
}

const helmetOptions = {
  contentSecurityPolicy: {
    directives: {
      defaultSrc: ["'self'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'", "'unsafe-inline'"],
      imgSrc: ["'self'", 'data:', 'blob:', 'https:'],
      mediaSrc: ["'self'", 'blob:'],
      connectSrc: ["'self'", 'ws:', 'wss:'],
      frameAncestors: ["'self'"],
      upgradeInsecureRequests: null,
    },
  },
  // The loader and the API are for pages of other origins.
  crossOriginResourcePolicy: { policy: 'cross-origin' as const },
  crossOriginEmbedderPolicy: false,
  strictTransportSecurity: false,
}
