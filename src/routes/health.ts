/** Owns the two questions a platform asks: is the process alive, and may mail come in. */
import type { FastifyInstance } from 'fastify'
import { failureAnswer } from '../contract.ts'
import { MailerError } from '../errors.ts'
import type { Transport } from '../message.ts'
import type { Outbox } from '../outbox/port.ts'

export interface HealthOptions {
  readonly transport: Transport
  readonly outbox: Pick<Outbox, 'trouble'>
}

export async function healthRoutes(
  app: FastifyInstance,
  { transport, outbox }: HealthOptions,
): Promise<void> {
  app.get('/health/live', () => ({ error: 0, msg: 'Ok', code: 'live' }))

  app.get('/health/ready', async (_request, reply) => {
    const [relay, store] = [await transport.check(), outbox.trouble()]
    const parts = { relays: { [transport.name]: relay ?? 'ok' }, store: store ?? 'ok' }
    if (relay === undefined && store === undefined) return { error: 0, msg: 'Ok', code: 'ready', ...parts }
    const { status, answer } = failureAnswer(
      new MailerError(store ? 'store_unavailable' : 'relay_unavailable'),
    )
    return reply.code(status).send({ ...answer, msg: 'Not ready', ...parts })
  })
}
