/**
 * Owns HTTP: which routes there are, how large a request may be, and that every answer is our JSON.
 *
 * Fastify's own logger is off. It writes URLs, and with them tokens; every line comes from our handlers instead.
 */
import { randomBytes } from 'node:crypto'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { failureAnswer } from '../contract.ts'
import type { Deliver } from '../delivery/deliver.ts'
import { MailerError } from '../errors.ts'
import { bodyReader } from './bodies.ts'
import { refuseForeignNames, refuseOtherSites } from './dev-gate.ts'
import { answerFailure, logFailure } from './failure.ts'
import type { Log } from '../log.ts'
import { METHODS } from './node-http.ts'
import type { Outbox } from '../outbox/api.ts'
import type { KeysFor } from '../remote-key-set.ts'
import type { Meter } from '../meter.ts'
import { adminRoutes, type AdminRoutesOptions } from './routes/admin.ts'
import { adaptersRoutes, type AdaptersRoutesOptions } from './routes/adapters.ts'
import { feedbackRoutes, type FeedbackRoutesOptions } from './routes/feedback.ts'
import { deliveriesRoutes } from './routes/deliveries.ts'
import { emailserviceRoutes } from './routes/emailservice.ts'
import { type HealthOptions, healthRoutes } from './routes/health.ts'
import { inboxRoutes, type InboxRoutesOptions } from './routes/inbox.ts'
import { countAnswers, metricsRoutes, type MetricsRoutesOptions } from './routes/metrics.ts'
import { openApiRoutes } from './routes/openapi.ts'
import { previewRoutes, type PreviewRoutesOptions } from './routes/preview.ts'
import { socketKeeper } from './sockets.ts'

export interface AppParts {
  readonly deliver: Deliver
  readonly transport: HealthOptions['transport']
  readonly outbox: Outbox
  readonly keysFor: KeysFor
  readonly audience?: string | undefined
  readonly log: Log
  /** Aborted when the shutdown begins. */
  readonly stopping?: AbortSignal | undefined
  /** `/adapters/…`, for the systems that are configured. */
  readonly adapters?: AdaptersRoutesOptions | undefined
  /** `/feedback/…`, for the relays that are configured to report. */
  readonly feedback?: FeedbackRoutesOptions | undefined
  /** For development. */
  readonly inbox?: InboxRoutesOptions | undefined
  /** `/docs`, for development. */
  readonly docs?: boolean
  /** In development, and in production behind a token. */
  readonly preview?: PreviewRoutesOptions | undefined
  readonly metrics?: MetricsRoutesOptions | undefined
  /** The operator's page. */
  readonly admin?: Omit<AdminRoutesOptions, 'sites'> | undefined
  /** Counts every answer. */
  readonly meter?: Pick<Meter, 'answered'> | undefined
  /** In development, where the service listens: its pages answer to names of this machine only, and to no other site. */
  readonly devHost?: string | undefined
  /** Behind Heroku's router: plain http is sent on to https. */
  readonly redirectHttp?: boolean
  readonly trustedProxies?: number
}

const maxTokenInUrl = 12 * 1024
const maxBody = 64 * 1024

export async function buildApp(parts: AppParts): Promise<FastifyInstance> {
  const { log } = parts
  const trustedProxies = parts.trustedProxies ?? 0
  const sockets = socketKeeper({ log, meter: parts.meter, stopping: parts.stopping })
  const app = Fastify({
    logger: false,
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: maxTokenInUrl },
    bodyLimit: maxBody,
    // `trustProxy: 1` would give everyone the router's address
    trustProxy: trustedProxies > 0 && ((_address: string, hop: number) => hop < trustedProxies),
    genReqId: requestIds(),
    return503OnClosing: false,
    frameworkErrors(error, request, reply) {
      request.raw.resume()
      answerFailure(log, error, request, reply)
      parts.meter?.answered(undefined, reply.statusCode, reply.answerCode)
    },
    clientErrorHandler: sockets.clientErrorHandler,
    serverFactory: sockets.openServer,
  })
  app.decorate('readBody', bodyReader())
  app.removeAllContentTypeParsers()
  sockets.watch(app)
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff')
    const { host, 'x-forwarded-proto': scheme } = request.headers
    if (host === undefined && request.raw.httpVersion === '1.1') {
      return done(new MailerError('bad_request', { reason: 'host' }))
    }
    if (parts.redirectHttp && scheme === 'http') {
      // the redirect would come back in the same way, for ever
      if (cameBySecureProxy(request)) return done(new MailerError('bad_request', { reason: 'proxy_http' }))
      if (!canRedirect(request)) return done(new MailerError('bad_request', { reason: 'host' }))
      return redirectToHttps(log, request, reply)
    }
    done()
  })
  app.decorateReply('answerCode', '')
  app.decorateReply('answerReason', '')
  if (parts.meter) countAnswers(app, parts.meter)
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method)
  app.setErrorHandler((error, request, reply) => answerFailure(log, error, request, reply))
  app.setNotFoundHandler((request, reply) => answerFailure(log, new MailerError('not_found'), request, reply))

  const paths = new Map<string, Path>()
  const { inbox, preview, admin, docs = false } = parts
  const sites = {
    inbox: inbox !== undefined,
    preview: preview !== undefined,
    docs,
    admin: admin !== undefined,
  }
  await app.register(async (served) => {
    notePaths(served, paths)
    await served.register(emailserviceRoutes, parts)
    await served.register(healthRoutes, parts)
    await served.register(deliveriesRoutes, parts)
    if (parts.adapters) await served.register(adaptersRoutes, parts.adapters)
    if (parts.feedback) await served.register(feedbackRoutes, parts.feedback)
    await served.register(async (pages) => {
      if (parts.devHost !== undefined) guardPages(pages, parts.devHost)
      await pages.register(openApiRoutes, {
        withPage: docs,
        adapters: parts.adapters?.settings,
        feedback: parts.feedback?.settings.map(({ relay }) => relay),
        sites,
        catalogue: preview?.catalogue,
      })
      if (inbox) await pages.register(inboxRoutes, { ...inbox, sites })
      if (preview) await pages.register(previewRoutes, { ...preview, sites })
      if (admin) await pages.register(adminRoutes, { ...admin, sites })
      if (parts.metrics) await pages.register(metricsRoutes, parts.metrics)
    })
  })
  // outside of `served`, which notes no route of these
  for (const path of paths.values()) refuseOtherMethods(app, path)
  return app
}

function guardPages(app: FastifyInstance, devHost: string): void {
  app.addHook('onRequest', (request, _reply, done) => {
    refuseForeignNames(request, devHost)
    refuseOtherSites(request)
    done()
  })
}

/** A path and the methods of its routes. */
interface Path {
  readonly url: string
  readonly methods: string[]
}

/** Collects every path that gets a route in `app`. The names of parameters do not make another path. */
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

/** `https://` + host + URL is an address of this service: a host without tricks, and a path. */
function canRedirect({ headers, url }: FastifyRequest): boolean {
  return /^[A-Za-z0-9.-]+(?::\d+)?$/.test(headers.host ?? '') && url.startsWith('/')
}

/** The caller used https, and a proxy that ends it speaks plain http to Heroku's router: Cloudflare's flexible mode. */
function cameBySecureProxy({ headers }: FastifyRequest): boolean {
  return (
    /"scheme":\s?"https"/.test(String(headers['cf-visitor'] ?? '')) ||
    headers['cloudfront-forwarded-proto'] === 'https' ||
    headers['x-forwarded-ssl'] === 'on' ||
    headers['front-end-https'] === 'on'
  )
}

/** The redirect sends no mail. 308 keeps the method and body of a POST. */
function redirectToHttps(log: Log, request: FastifyRequest, reply: FastifyReply): void {
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
