/** Owns `/metrics` for Prometheus, and that every answer of the service is counted. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Meter } from '../../meter.ts'
import type { Metrics } from '../../metrics.ts'
import { adminGate, wrongAdminToken } from '../admin-gate.ts'

declare module 'fastify' {
  interface FastifyReply {
    /** The `code` of the answer where it has one, for the metrics. */
    answerCode: string
    /** Why it was refused. */
    answerReason: string
  }
}

export interface MetricsRoutesOptions {
  readonly metrics: Metrics
  /** When set, a scrape needs it as `Authorization: Bearer`. */
  readonly adminToken?: string | undefined
}

export async function metricsRoutes(
  app: FastifyInstance,
  { metrics, adminToken }: MetricsRoutesOptions,
): Promise<void> {
  // those who ask at once share one text
  let writing: Promise<string> | undefined
  const text = () => (writing ??= metrics.text().finally(() => (writing = undefined)))
  const gate = adminToken === undefined ? undefined : adminGate(adminToken)
  app.get('/metrics', async (request, reply) => {
    if (gate && !gate.isOpen(request)) {
      reply.header('www-authenticate', 'Bearer')
      throw wrongAdminToken()
    }
    return reply.type(metrics.contentType).send(await text())
  })
}

/** Counts every answered request of `app`; what Fastify refuses before it has a route is counted where it is refused. */
export function countAnswers(app: FastifyInstance, meter: Pick<Meter, 'answered'>): void {
  app.addHook('onResponse', (request: FastifyRequest, reply: FastifyReply, done) => {
    const { statusCode } = reply
    const code = reply.answerCode || (statusCode < 400 ? 'ok' : 'none')
    meter.answered(request.routeOptions.url, statusCode, code, reply.answerReason)
    done()
  })
}
