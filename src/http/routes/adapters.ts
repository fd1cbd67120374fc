/**
 * Owns `/adapters/<system>` and `/adapters/<system>/<app>`: a request of another system becomes mails of ours, and the
 * answer is one that this system understands, as soon as the mails are stored.
 */
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  type Adapter,
  type AdapterSettings,
  type ForeignFailure,
  type ForeignMail,
  mintForeign,
  parseBody,
  type System,
} from '../../adapter.ts'
import { kratosAdapter } from '../../adapters/kratos.ts'
import { logtoAdapter } from '../../adapters/logto.ts'
import { supabaseAdapter } from '../../adapters/supabase.ts'
import { zitadelAdapter } from '../../adapters/zitadel.ts'
import { appPattern, failureAnswer } from '../../contract.ts'
import type { Deliver } from '../../delivery/deliver.ts'
import { MailerError } from '../../errors.ts'
import { type Log, LogLine } from '../../log.ts'
import { within } from '../../timers.ts'
import { logFailure } from '../failure.ts'
import { acceptRawBodies, emptyBody, type RawBody } from '../raw-body.ts'

const makers: Record<System, (settings: AdapterSettings) => Adapter> = {
  supabase: supabaseAdapter,
  kratos: kratosAdapter,
  zitadel: zitadelAdapter,
  logto: logtoAdapter,
}

/** The key of the tokens that adapters write: it opens nothing but what this process has signed a moment ago. */
export function foreignKey(): KeyObject {
  return createSecretKey(randomBytes(32))
}

export interface AdaptersRoutesOptions {
  readonly settings: readonly AdapterSettings[]
  /** Takes tokens signed with `key`, and answers when a mail is stored. */
  readonly deliver: Deliver
  readonly key: KeyObject
  readonly log: Log
  readonly now: () => number
  readonly answerMs?: number
}

interface Place {
  readonly system: System
  readonly adapter: Adapter
  readonly app: string
}
type Facts = Readonly<Record<string, unknown>>
type Call = FastifyRequest<{ Params: { app?: string }; Body: RawBody }>

export async function adaptersRoutes(
  app: FastifyInstance,
  // Supabase and Zitadel wait 5 s in all; a mail that the store takes later is the same mail at the next try
  { settings, deliver, key, log, now, answerMs = 3_000 }: AdaptersRoutesOptions,
): Promise<void> {
  acceptRawBodies(app)
  for (const system of new Set(settings.map((each) => each.system))) {
    const own = settings.filter((each) => each.system === system)
    const adapters = new Map(own.map((each) => [each.app, makers[system](each)]))
    const answer = (request: Call, reply: FastifyReply) => {
      const { app: name = 'default' } = request.params
      const adapter = adapters.get(name) ?? adapters.get(undefined)
      if (!adapter || !appPattern.test(name)) throw new MailerError('not_found')
      return answerCall({ system, adapter, app: name }, request, reply)
    }
    if (adapters.has(undefined) || adapters.has('default')) app.post(`/adapters/${system}`, answer)
    app.post(`/adapters/${system}/:app`, answer)
  }

  async function answerCall(place: Place, request: Call, reply: FastifyReply): Promise<FastifyReply> {
    const { adapter } = place
    const failure = await storeMails(place, request)
    const { status, body, headers = {} } = failure ? adapter.answerFailure(failure) : adapter.success
    reply.answerCode = failure?.code ?? 'queued'
    reply.answerReason = failure?.reason ?? ''
    return reply.code(status).headers(headers).send(body)
  }

  /** Resolves when every mail that the request asks for is stored, or with the first failure. */
  async function storeMails(place: Place, request: Call): Promise<ForeignFailure | undefined> {
    const { adapter, app: name } = place
    const facts = { req: request.id, route: request.routeOptions.url, app: name }
    try {
      const call = { headers: request.headers, body: request.body ?? emptyBody, now: now() }
      adapter.authorise(call)
      const mails = adapter.readMails(parseBody(call.body), call)
      const failures = await within(answerMs, Promise.all(mails.map((mail) => storeMail(place, mail, facts))))
      if (!failures) throw new MailerError('store_unavailable', { reason: 'timeout' })
      return failures.find((failure) => failure !== undefined)
    } catch (error) {
      return noteFailure(adapter, error, facts)
    }
  }

  /** Never rejects: the other mail of a pair is stored whatever becomes of this one. */
  async function storeMail(
    place: Place,
    mail: ForeignMail,
    facts: Facts,
  ): Promise<ForeignFailure | undefined> {
    const line = new LogLine()
    try {
      const token = mintForeign(place.system, mail, key, now())
      await deliver({ app: place.app, kind: mail.kind, token }, line)
      log.info({ ...facts, code: 'queued', ...line.fields }, 'mail queued')
      return undefined
    } catch (error) {
      return noteFailure(place.adapter, error, { ...facts, ...line.fields })
    }
  }

  /** One line for a failure. Where its answer says that all is well, no one else will ever speak of it. */
  function noteFailure(adapter: Adapter, error: unknown, facts: Facts): ForeignFailure {
    const { status, answer } = failureAnswer(error)
    const failure: ForeignFailure = {
      status,
      code: answer.code,
      reason: error instanceof MailerError ? error.reason : undefined,
      says: answer.code === 'token_signature' ? 'The secret or the signature is wrong' : answer.msg,
      retryAfterS: error instanceof MailerError ? error.retryAfterS : undefined,
    }
    const answered = adapter.answerFailure(failure).status
    const fields = { ...facts, status: answered, code: failure.code }
    if (answered < 300 && error instanceof MailerError)
      log.error({ ...fields, claim: error.claim, reason: error.reason }, 'mail can never be sent')
    else logFailure(log, error, fields)
    return failure
  }
}
