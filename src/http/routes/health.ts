/** Owns the two questions a platform asks: is the process alive, and may mail come in. */
import type { FastifyInstance } from 'fastify'
import { failureAnswer } from '../../contract.ts'
import { MailerError } from '../../errors.ts'
import type { Outbox } from '../../outbox/api.ts'
import type { Failover } from '../../transport/failover.ts'

export interface HealthOptions {
  readonly transport: Pick<Failover, 'health'>
  readonly outbox: Pick<Outbox, 'trouble'>
}

export async function healthRoutes(
  app: FastifyInstance,
  { transport, outbox }: HealthOptions,
): Promise<void> {
  app.get('/health/live', () => ({ error: 0, msg: 'Ok', code: 'live' }))

  app.get('/health/ready', async (_request, reply) => {
    const [relays, store] = [await transport.health(), outbox.trouble()]
    const parts = {
      relays: Object.fromEntries(relays.map(({ relay, trouble }) => [relay, trouble ?? 'ok'])),
      breakers: Object.fromEntries(relays.map(({ relay, breaker }) => [relay, breaker])),
      store: store ?? 'ok',
    }
    // one relay that takes mail is enough
    const open = relays.some(({ trouble }) => trouble === undefined)
    if (open && store === undefined) return { error: 0, msg: 'Ok', code: 'ready', ...parts }
    const { status, answer } = failureAnswer(
      new MailerError(store ? 'store_unavailable' : 'relay_unavailable'),
    )
    return reply.code(status).send({ ...answer, msg: 'Not ready', ...parts })
  })
}
