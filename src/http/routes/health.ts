/** Owns the two health checks of a platform: does the process live, and can it take mail. */
import type { FastifyInstance } from 'fastify'
import { failureAnswer } from '../../contract.ts'
import { MailerError } from '../../errors.ts'
import { latest } from '../latest.ts'
import type { Outbox } from '../../outbox/api.ts'

export interface HealthOptions {
  readonly transport: {
    readonly relays: readonly {
      readonly name: string
      /** Why it takes no mail just now, as a fixed word. */
      readonly check: () => Promise<{ readonly trouble: string | undefined }>
    }[]
    readonly breakers: () => readonly { readonly relay: string; readonly breaker: string }[]
  }
  readonly outbox: Pick<Outbox, 'trouble'>
  readonly stopping?: AbortSignal | undefined
}

export async function healthRoutes(
  app: FastifyInstance,
  { transport, outbox, stopping }: HealthOptions,
): Promise<void> {
  const relays = transport.relays.map(({ name, check }) => ({ name, latest: latest(check) }))

  async function wordOf(relay: (typeof relays)[number]): Promise<readonly [name: string, word: string]> {
    const checked = await relay.latest()
    return [relay.name, checked ? (checked.trouble ?? 'ok') : 'checking']
  }

  app.get('/health/live', () => ({ error: 0, msg: 'Ok', code: 'live' }))

  app.get('/health/ready', async (_request, reply) => {
    const words = await Promise.all(relays.map(wordOf))
    const store = outbox.trouble()
    const parts = {
      relays: Object.fromEntries(words),
      breakers: Object.fromEntries(transport.breakers().map(({ relay, breaker }) => [relay, breaker])),
      store: store ?? 'ok',
    }
    // one relay that takes mail is enough
    const open = words.some(([, word]) => word === 'ok')
    if (open && store === undefined && !stopping?.aborted)
      return { error: 0, msg: 'Ok', code: 'ready', ...parts }
    const { status, answer } = failureAnswer(
      new MailerError(store ? 'store_unavailable' : 'relay_unavailable'),
    )
    return reply.code(status).send({ ...answer, msg: stopping?.aborted ? 'Stopping' : 'Not ready', ...parts })
  })
}
