/** Owns the story of one request: token → claims → message → receipt. */
import { createHash } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { MailerError } from './errors.ts'
import type { Catalogue } from './mails/catalogue.ts'
import { renderMail } from './mails/render.ts'
import type { Transport } from './message.ts'
import { verifyToken } from './token.ts'

/** One request for a mail, whatever way it came. `kind` is missing where the app's default kind is meant. */
export interface MailRequest {
  readonly app: string
  readonly kind: string | undefined
  readonly token: string
}

/** What is known about a request so far, for its one log line: nothing that identifies a person. */
export type Facts = Partial<
  Record<'app' | 'kind' | 'locale' | 'id' | 'domain' | 'relay' | 'outcome' | 'reason' | 'cause', string>
> & { reply?: number | undefined }

/** Returns the mail's id when the relay has taken it, else throws a `MailerError`. `facts` fills up on the way. */
export type Deliver = (request: MailRequest, facts: Facts) => Promise<string>

export interface DeliverParts {
  readonly keysOf: (app: string) => readonly KeyObject[]
  readonly catalogue: Catalogue
  readonly transport: Transport
  readonly now?: () => number
}

export function deliverer({ keysOf, catalogue, transport, now = Date.now }: DeliverParts): Deliver {
  return async ({ app, kind, token }, facts) => {
    const { claims, identity } = verifyToken(token, keysOf(app), now())
    const mail = catalogue.find(app, kind, claims.locale)
    const id = mailId(app, mail.kind, identity)
    Object.assign(facts, {
      app,
      kind: mail.kind,
      locale: mail.locale,
      id,
      domain: domainOf(claims.user_email),
    })
    const message = renderMail(mail, claims, { id, date: new Date(now()) })
    const { outcome, relay, reason, reply, cause } = await transport.send(message)
    Object.assign(facts, { relay, outcome, reason, reply, cause })
    if (outcome !== 'sent')
      throw new MailerError(outcome === 'refused' ? 'refused' : 'relay_unavailable', { reason })
    return id
  }
}

/** The same token for the same mail has the same id, and so the same Message-ID, however often it comes. */
function mailId(app: string, kind: string, identity: string): string {
  return createHash('sha256').update(`${app}\n${kind}\n${identity}`).digest('base64url').slice(0, 26)
}

function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1)
}
