/** Owns the mail routes: where a request carries its token, and that only GET and POST ever send. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { appPattern, postSchema } from '../../contract.ts'
import type { Deliver } from '../../delivery/deliver.ts'
import { MailerError } from '../../errors.ts'
import { acceptJson } from '../bodies.ts'
import { answerFailure } from '../failure.ts'
import { type Log, LogLine } from '../../log.ts'

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
  acceptJson(app)
  for (const base of ['/emailservice', '/emailservice-:app']) {
    app.get(`${base}/:token`, answerMail)
    app.get(`${base}/:kind/:token`, answerMail)
    app.post(base, answerMail)
    app.post(`${base}/:kind`, answerMail)
  }

  async function answerMail(request: MailCall, reply: FastifyReply) {
    const started = performance.now()
    const { app: name = 'default', kind } = request.params
    const line = new LogLine()
    // any other word of a caller stays out of the log
    if (appPattern.test(name)) line.add({ app: name })
    try {
      refusePrefetch(request)
      const answer = await deliver({ app: name, kind, token: tokenOf(request) }, line)
      const { code } = answer
      const status = code === 'sent' ? 200 : 202
      reply.answerCode = code
      const route = request.routeOptions.url
      log.info({ req: request.id, route, status, code, ...line.fields, ms: since(started) }, `mail ${code}`)
      return reply.code(status).send(answer)
    } catch (error) {
      return answerFailure(log, error, request, reply, { ...line.fields, ms: since(started) })
    }
  }
}

function tokenOf(request: MailCall): string {
  if (request.params.token !== undefined) return request.params.token
  const body = postSchema.safeParse(request.body)
  if (!body.success) throw new MailerError('bad_request', { reason: 'body' })
  return body.data.token
}

/** Browsers and chat programs fetch links before a person clicks. Each of these headers says so. */
function refusePrefetch({ headers }: FastifyRequest): void {
  for (const purpose of [headers['sec-purpose'], headers['purpose'], headers['x-moz']]) {
    if (purpose !== undefined && /prefetch|preview/i.test(String(purpose)))
      throw new MailerError('bad_request', { reason: 'prefetch' })
  }
}

function since(started: number): number {
  return Math.round((performance.now() - started) * 10) / 10
}
