/** Owns the two questions a platform asks: is the process alive, and may mail come in. */
import type { FastifyInstance } from 'fastify'
import { failureAnswer } from '../contract.ts'
import { MailerError } from '../errors.ts'
import type { Transport } from '../message.ts'

export interface HealthOptions {
  readonly transport: Transport
}

export async function healthRoutes(app: FastifyInstance, { transport }: HealthOptions): Promise<void> {
  app.get('/health/live', () => ({ error: 0, msg: 'Ok', code: 'live' }))

  app.get('/health/ready', async (_request, reply) => {
    const trouble = await transport.check()
    if (trouble === undefined)
      return { error: 0, msg: 'Ok', code: 'ready', relays: { [transport.name]: 'ok' } }
    const { status, answer } = failureAnswer(new MailerError('relay_unavailable'))
    return reply.code(status).send({ ...answer, msg: 'Not ready', relays: { [transport.name]: trouble } })
  })
}
