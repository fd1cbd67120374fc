/** Owns the mail routes: where the token stands in a request, and that nothing but GET and POST ever sends. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { appPattern, postSchema } from '../../contract.ts'
import type { Deliver, Facts } from '../../delivery/deliver.ts'
import { MailerError } from '../../errors.ts'
import { answerFailure } from '../failure.ts'
import type { Log } from '../../log.ts'

interface Params {
  app?: string
  kind?: string
  token?: string
}
type MailCall = FastifyRequest<{ Params: Params }>

export interface EmailserviceOptions {
  readonly deliver: Deliver
  readonly log: Log
}

export async function emailserviceRoutes(
  app: FastifyInstance,
  { deliver, log }: EmailserviceOptions,
): Promise<void> {
  for (const base of ['/emailservice', '/emailservice-:app']) {
    app.get(`${base}/:token`, answerMail)
    app.get(`${base}/:kind/:token`, answerMail)
    app.post(base, answerMail)
    app.post(`${base}/:kind`, answerMail)
  }

  async function answerMail(request: MailCall, reply: FastifyReply) {
    const started = performance.now()
    const { app: name = 'default', kind } = request.params
    // any other word of a caller stays out of the log
    const facts: Facts = appPattern.test(name) ? { app: name } : {}
    try {
      refusePrefetch(request)
      const { code, id } = await deliver({ app: name, kind, token: tokenOf(request) }, facts)
      const status = code === 'sent' ? 200 : 202
      reply.answerCode = code
      const route = request.routeOptions.url
      log.info({ req: request.id, route, status, code, ...facts, ms: since(started) }, `mail ${code}`)
      return reply.code(status).send({ error: 0, msg: code === 'sent' ? 'Ok' : 'Queued', code, id })
    } catch (error) {
      return answerFailure(log, error, request, reply, { ...facts, ms: since(started) })
    }
  }
}

function tokenOf(request: MailCall): string {
  if (request.params.token !== undefined) return request.params.token
  const body = postSchema.safeParse(request.body)
  if (!body.success) throw new MailerError('bad_request', { reason: 'body' })
  return body.data.token
}

/** Browsers and chat programs fetch links ahead of the click, and each says so in a header of its own. */
function refusePrefetch({ headers }: FastifyRequest): void {
  for (const purpose of [headers['sec-purpose'], headers['purpose'], headers['x-moz']]) {
    if (purpose !== undefined && /prefetch|preview/i.test(String(purpose)))
      throw new MailerError('bad_request', { reason: 'prefetch' })
  }
}

function since(started: number): number {
  return Math.round((performance.now() - started) * 10) / 10
}
