/** Owns the question what became of a mail, asked by the app that sent it. */
import type { KeyObject } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MailerError } from '../errors.ts'
import type { Outbox } from '../outbox/port.ts'
import { verifySignature } from '../token.ts'

export interface DeliveriesOptions {
  readonly outbox: Outbox
  readonly keysOf: (app: string) => readonly KeyObject[]
}

/** `GET /deliveries/:id` with `Authorization: Bearer` and any token in its time that the mail's app has signed. */
export async function deliveriesRoutes(
  app: FastifyInstance,
  { outbox, keysOf }: DeliveriesOptions,
): Promise<void> {
  app.get('/deliveries/:id', async (request: FastifyRequest<{ Params: { id: string } }>) => {
    const token = bearerOf(request)
    const mail = /^[\w-]{1,64}$/.test(request.params.id) ? await outbox.find(request.params.id) : undefined
    verifySignature(token, keysOf(mail?.app ?? 'default'))
    if (!mail) throw new MailerError('not_found')
    const { id, app: name, kind, state, attempts, detail, relay } = mail
    const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
    const times = { created: time(mail.created), done: time(mail.done), expires: time(mail.expires) }
    return { error: 0, msg: 'Ok', code: state, id, app: name, kind, state, attempts, detail, relay, ...times }
  })
}

function bearerOf({ headers }: FastifyRequest): string {
  const [, token] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? []
  if (token === undefined) throw new MailerError('token_malformed', { reason: 'no bearer token' })
  return token
}
