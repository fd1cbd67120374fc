/** Owns `/deliveries/:id`: the state of a mail, for the app that sent it. */
import type { KeyObject } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MailerError } from '../../errors.ts'
import { feedbackFacts } from '../../feedback.ts'
import type { Outbox } from '../../outbox/api.ts'
import { verifySignature } from '../../token.ts'

export interface DeliveriesOptions {
  readonly outbox: Outbox
  /** Without an app: every key there is. */
  readonly keysOf: (app?: string) => readonly KeyObject[]
  readonly audience?: string | undefined
}

/**
 * `GET /deliveries/:id` with `Authorization: Bearer` and any token in its time that the mail's app has signed. To every
 * other app that is known here, a mail that is not its own does not exist.
 */
export async function deliveriesRoutes(
  app: FastifyInstance,
  { outbox, keysOf, audience }: DeliveriesOptions,
): Promise<void> {
  app.get('/deliveries/:id', async (request: FastifyRequest<{ Params: { id: string } }>) => {
    const token = bearerOf(request)
    verifySignature(token, keysOf(), Date.now(), audience)
    const mail = /^[\w-]{1,64}$/.test(request.params.id) ? await outbox.find(request.params.id) : undefined
    if (!mail || !isSignedBy(token, keysOf(mail.app), audience)) throw new MailerError('not_found')
    const { id, app: name, kind, state, attempts, detail, relay } = mail
    const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
    const times = { created: time(mail.created), done: time(mail.done), expires: time(mail.expires) }
    const story = { state, attempts, detail, relay, ...feedbackFacts(mail.feedback), ...times }
    return { error: 0, msg: 'Ok', code: state, id, app: name, kind, ...story }
  })
}

function isSignedBy(token: string, keys: readonly KeyObject[], audience?: string): boolean {
  try {
    verifySignature(token, keys, Date.now(), audience)
    return true
  } catch {
    return false
  }
}

function bearerOf({ headers }: FastifyRequest): string {
  const [, token] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? []
  if (token === undefined) throw new MailerError('token_malformed', { reason: 'no bearer token' })
  return token
}
