/**
 * Owns HTTP: which routes there are, how large and how slow a request may be, and that every answer is our JSON.
 *
 * Fastify's own logger is off. It writes URLs, and with them tokens; every line comes from our handlers instead.
 */
import { type KeyObject, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { failureAnswer } from './contract.ts'
import type { Deliver } from './deliver.ts'
import { MailerError } from './errors.ts'
import { answerFailure, logFailure } from './failure.ts'
import type { Log } from './log.ts'
import type { Outbox } from './outbox/port.ts'
import { deliveriesRoutes } from './routes/deliveries.ts'
import { emailserviceRoutes } from './routes/emailservice.ts'
import { healthRoutes } from './routes/health.ts'
import { inboxRoutes, type InboxRoutesOptions } from './routes/inbox.ts'
import { countAnswers, metricsRoutes, type MetricsRoutesOptions } from './routes/metrics.ts'
import { openApiRoutes } from './routes/openapi.ts'
import { previewRoutes, type PreviewRoutesOptions } from './routes/preview.ts'
import type { Failover } from './transport/failover.ts'

export interface AppParts {
  readonly deliver: Deliver
  readonly transport: Failover
  readonly outbox: Outbox
  readonly keysOf: (app?: string) => readonly KeyObject[]
  readonly log: Log
  /** Only on a machine of one's own. */
  readonly inbox?: InboxRoutesOptions | undefined
  /** `/docs`, for development. */
  readonly docs?: boolean
  /** In development, and in production behind a token. */
  readonly preview?: PreviewRoutesOptions | undefined
  /** `/metrics`, and every answer is counted. */
  readonly metrics?: MetricsRoutesOptions | undefined
  /** Behind Heroku's router: plain http is sent on to https. */
  readonly redirectHttp?: boolean
  readonly trustedProxies?: number
}

// not imported: that loads Node's fetch as well (nodemailer.ts)
const { METHODS, STATUS_CODES } = process.getBuiltinModule('node:http')

const maxTokenInUrl = 12 * 1024
const maxBody = 64 * 1024
/** Room for the longest URL and the usual headers of a proxy. */
const maxHeaders = 24 * 1024
/** How long a stop waits for the rest of a request. */
const uploadGraceMs = 1_000

export async function buildApp(parts: AppParts): Promise<FastifyInstance> {
  const { log } = parts
  const trustedProxies = parts.trustedProxies ?? 0
  const app = Fastify({
    logger: false,
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: maxTokenInUrl },
    bodyLimit: maxBody,
    // a body may not drip for ever
    requestTimeout: 15_000,
    connectionTimeout: 60_000,
    keepAliveTimeout: 65_000,
    http: {
      maxHeaderSize: maxHeaders,
      headersTimeout: 10_000,
      // by itself Node looks at the two limits above only every 30 s
      connectionsCheckingInterval: 1_000,
      requireHostHeader: false,
    },
    // `trustProxy: 1` would give everyone the router's address
    trustProxy: trustedProxies > 0 && ((_address: string, hop: number) => hop < trustedProxies),
    genReqId: requestIds(),
    return503OnClosing: false,
    frameworkErrors(error, request, reply) {
      answerFailure(log, error, request, reply)
      parts.metrics?.metrics.answered(undefined, reply.statusCode, reply.answerCode)
    },
    clientErrorHandler,
  })
  app.server.maxConnections = 4_096
  // without these two Node answers by itself: an empty 417, or nothing at all
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  app.server.on('connect', (_request, socket: Socket) => {
    if (!endsAfterAnswer(socket)) answerSocket(socket, new MailerError('method_not_allowed'))
  })

  /** Requests without an answer yet. */
  const running = new Set<FastifyRequest>()
  /** Connections on which something followed that is no HTTP, or a CONNECT. */
  const broken = new WeakSet<Socket>()
  let closing: NodeJS.Timeout | undefined
  app.addHook('preClose', async () => {
    const uploadsUntil = performance.now() + uploadGraceMs
    closing = setInterval(() => {
      // a connection whose last request was running at the stop would otherwise be kept alive for a minute
      app.server.closeIdleConnections()
      // and one that never sends the rest of its request for ever: Node's own limits end with the listening
      const whole = [...running].some(({ raw }) => raw.complete)
      if (!whole && performance.now() > uploadsUntil) app.server.closeAllConnections()
    }, 100)
  })
  app.addHook('onClose', async () => clearInterval(closing))
  app.addHook('onSend', (request, reply, _payload, done) => {
    running.delete(request)
    if (broken.has(request.raw.socket)) reply.header('connection', 'close')
    done()
  })
  app.addHook('onRequest', (request, reply, done) => {
    running.add(request)
    reply.header('cache-control', 'no-store')
    const { host, 'x-forwarded-proto': scheme } = request.headers
    if (closing) {
      reply.header('connection', 'close')
      return done(new MailerError('relay_unavailable', { reason: 'closing' }))
    }
    if (host === undefined && request.raw.httpVersion === '1.1') {
      return done(new MailerError('bad_request', { reason: 'host' }))
    }
    if (parts.redirectHttp && scheme === 'http') {
      if (!leadsToUs(request)) return done(new MailerError('bad_request', { reason: 'host' }))
      return redirectToHttps(request, reply)
    }
    done()
  })

  app.decorateReply('answerCode', '')
  if (parts.metrics) countAnswers(app, parts.metrics)
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method)
  app.setErrorHandler((error, request, reply) => answerFailure(log, error, request, reply))
  app.setNotFoundHandler((request, reply) => answerFailure(log, new MailerError('not_found'), request, reply))
  const paths = new Map<string, Path>()
  await app.register(async (served) => {
    notePaths(served, paths)
    await served.register(emailserviceRoutes, parts)
    await served.register(healthRoutes, parts)
    await served.register(deliveriesRoutes, parts)
    await served.register(openApiRoutes, { withPage: parts.docs ?? false })
    if (parts.inbox) await served.register(inboxRoutes, parts.inbox)
    if (parts.preview) await served.register(previewRoutes, parts.preview)
    if (parts.metrics) await served.register(metricsRoutes, parts.metrics)
  })
  for (const path of paths.values()) refuseOtherMethods(app, path)
  return app

  /** Sends nothing itself; 308 keeps the method and body of a POST. */
  function redirectToHttps(request: FastifyRequest, reply: FastifyReply): void {
    const failure = new MailerError('bad_request', { reason: 'plain_http' })
    const { answer } = failureAnswer(failure)
    const { code } = answer
    const status = request.method === 'GET' || request.method === 'HEAD' ? 301 : 308
    logFailure(log, failure, { req: request.id, route: request.routeOptions.url, status, code })
    reply.answerCode = code
    void reply
      .code(status)
      .header('location', `https://${request.headers.host}${request.url}`)
      .send({ ...answer, msg: 'Use https' })
  }

  /** An answer to what follows a whole request would be taken for that request's own. */
  function endsAfterAnswer(socket: Socket): boolean {
    const owed = [...running].some(({ raw }) => raw.socket === socket && raw.complete)
    if (owed) broken.add(socket)
    return owed
  }

  /** What Node could not read as HTTP never becomes a request. */
  function clientErrorHandler(error: Error & { code?: string }, socket: Socket): void {
    if (error.code === 'ECONNRESET' || socket.destroyed) return
    if (endsAfterAnswer(socket)) return
    const code = error.code === 'HPE_HEADER_OVERFLOW' ? 'too_large' : 'bad_request'
    answerSocket(socket, new MailerError(code, { reason: 'http' }))
  }

  /** The last answer on a connection that has no request we could reply to. */
  function answerSocket(socket: Socket, failure: MailerError): void {
    const { status, answer } = failureAnswer(failure)
    const httpStatus = answer.code === 'too_large' ? 431 : status
    logFailure(log, failure, { status: httpStatus, code: answer.code })
    parts.metrics?.metrics.answered(undefined, httpStatus, answer.code)
    const body = JSON.stringify(answer)
    if (socket.writable) {
      socket.end(
        `HTTP/1.1 ${httpStatus} ${STATUS_CODES[httpStatus]}\r\nContent-Type: application/json; charset=utf-8\r\n` +
          `Cache-Control: no-store\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      )
    }
    setTimeout(() => socket.destroy(), 1_000).unref()
  }
}

/** A path, and what it is there for. */
interface Path {
  readonly url: string
  readonly methods: string[]
}

/** Keeps every path that gets a route in `app`; how its parameters are called makes no other path. */
function notePaths(app: FastifyInstance, paths: Map<string, Path>): void {
  app.addHook('onRoute', ({ url, method }) => {
    const place = url.replaceAll(/:\w+/g, ':')
    const path = paths.get(place) ?? { url, methods: [] }
    path.methods.push(...[method].flat())
    paths.set(place, path)
  })
}

/** 405 with `Allow` for every method that is not for a path. HEAD would otherwise be a 404. */
function refuseOtherMethods(app: FastifyInstance, { url, methods }: Path): void {
  app.route({
    url,
    method: app.supportedMethods.filter((method) => !methods.includes(method)),
    // before any body is read
    onRequest: (_request, reply, done) => {
      reply.header('allow', methods.join(', '))
      done(new MailerError('method_not_allowed'))
    },
    handler: () => undefined,
  })
}

/** The router's own id when it looks like one (Heroku: X-Request-Id), else one of ours. */
function requestIds(): (request: { headers: Record<string, unknown> }) => string {
  const start = randomBytes(4).toString('hex')
  let count = 0
  return ({ headers }) => {
    const given = headers['x-request-id']
    if (typeof given === 'string' && /^[A-Za-z0-9-]{8,64}$/.test(given)) return given
    return `${start}-${(++count).toString(36)}`
  }
}

/** zod checks what comes in and JSON.stringify writes what goes out; Fastify would load ajv for both, 3 MB of heap. */
function noCompiler(): never {
  throw new Error('routes have no Fastify schemas here')
}

/** `https://` + host + URL would be an address of ours. */
function leadsToUs({ headers, url }: FastifyRequest): boolean {
  return /^[A-Za-z0-9.-]+(?::\d+)?$/.test(headers.host ?? '') && url.startsWith('/')
}
