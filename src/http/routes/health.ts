/** Owns the two health checks of a platform: does the process live, and can it take mail. */
import type { FastifyInstance } from 'fastify'
import { failureAnswer } from '../../contract.ts'
import { MailerError } from '../../errors.ts'
import type { Outbox } from '../../outbox/api.ts'

interface RelayHealth {
  readonly relay: string
  /** Why it takes no mail just now, as a fixed word. */
  readonly trouble: string | undefined
  readonly breaker: string
}

export interface HealthOptions {
  readonly transport: { health(): Promise<readonly RelayHealth[]> }
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
