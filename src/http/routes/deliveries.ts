/** Owns `/deliveries/:id`: the state of a mail, for the app that sent it. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MailerError } from '../../errors.ts'
import { feedbackFacts } from '../../feedback.ts'
import type { Outbox } from '../../outbox/api.ts'
import type { KeysFor } from '../../remote-key-set.ts'
import { verifySignature } from '../../token.ts'

export interface DeliveriesOptions {
  readonly outbox: Outbox
  readonly keysFor: KeysFor
  readonly audience?: string | undefined
}

/**
 * `GET /deliveries/:id` with `Authorization: Bearer` and any token in its time that the mail's app has signed. To every
 * other app that is known here, a mail that is not its own does not exist.
 */
export async function deliveriesRoutes(
  app: FastifyInstance,
  { outbox, keysFor, audience }: DeliveriesOptions,
): Promise<void> {
  app.get('/deliveries/:id', async (request: FastifyRequest<{ Params: { id: string } }>) => {
    const token = bearerOf(request)
    await checkSignature(token)
    const mail = /^[\w-]{1,64}$/.test(request.params.id) ? await outbox.find(request.params.id) : undefined
    if (!mail || !(await isSignedBy(token, mail.app))) throw new MailerError('not_found')
    const { id, app: name, kind, state, attempts, detail, relay } = mail
    const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
    const times = { created: time(mail.created), done: time(mail.done), expires: time(mail.expires) }
    const story = { state, attempts, detail, relay, ...feedbackFacts(mail.feedback), ...times }
    return { error: 0, msg: 'Ok', code: state, id, app: name, kind, ...story }
  })

  async function checkSignature(token: string): Promise<void> {
    try {
      verifySignature(token, await keysFor(undefined, token), Date.now(), audience)
    } catch (error) {
      // the right key may be in a set that cannot be fetched: then nobody can tell
      if (error instanceof MailerError && error.code === 'token_signature')
        await keysFor(undefined, token, true)
      throw error
    }
  }

  async function isSignedBy(token: string, name: string): Promise<boolean> {
    try {
      verifySignature(token, await keysFor(name, token), Date.now(), audience)
      return true
    } catch {
      return false
    }
  }
}

function bearerOf({ headers }: FastifyRequest): string {
  const [, token] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? []
  if (token === undefined) throw new MailerError('token_malformed', { reason: 'no bearer token' })
  return token
}
