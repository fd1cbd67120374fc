/** Owns the calls of the mailer, which tell what became of our mails. */
import type { FastifyInstance } from 'fastify'
import type { Site } from './request.ts'

/** Which events say that the mail did not arrive. A type that is not here changes nothing. */
const losses = new Map<string, boolean>([
  ['mail.sent', false],
  ['mail.delivered', false],
  ['mail.complained', false],
  ['mail.bounced', true],
  ['mail.suppressed', true],
  ['mail.dead', true],
])

export function eventRoutes(app: FastifyInstance, { accounts, mails }: Site): void {
  // parsed and written again, a body has another signature
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  app.post('/mail-events', async ({ body, headers }, reply) => {
    const call = await mails.readCall(Buffer.isBuffer(body) ? body : Buffer.alloc(0), headers)
    if (!call.ok) return reply.code(401).send()
    const { type, mail, sequence } = call.event
    const isLost = losses.get(type)
    if (isLost !== undefined) accounts.noteEvent(mail, sequence, isLost)
    return reply.code(204).send()
  })
}
