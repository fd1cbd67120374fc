/** Owns the story of one request: token → claims → message → stored → sent → answer. */
import { type AcceptedAnswer, acceptedAnswer, type Claims } from '../contract.ts'
import { type ClaimFault, invalidClaims, MailerError } from '../errors.ts'
import type { Log, LogLine } from '../log.ts'
import type { Catalogue } from '../mails/catalogue.ts'
import { claimedExpiry } from '../mails/claims.ts'
import type { draftMail } from '../mails/render.ts'
import type { Transport } from '../message.ts'
import type { MailStatus, Outbox, StoredMail } from '../outbox/api.ts'
import { mailId, messageIdOf, windowMs } from '../outbox/mail-id.ts'
import type { VerifiedToken } from '../token.ts'
import { firstTry } from './first-try.ts'

/** One request for a mail, whatever way it came. `kind` is missing where the app's default kind is meant. */
export interface MailRequest {
  readonly app: string
  readonly kind: string | undefined
  readonly token: string
}

/** Resolves when the mail is sent or stored, else throws a `MailerError`. What it finds out goes to the request's line. */
export type Deliver = (request: MailRequest, line: LogLine) => Promise<AcceptedAnswer>

export interface DeliverParts {
  /** At once, unless the keys of the app have to be fetched. */
  readonly verify: (app: string, token: string) => VerifiedToken | Promise<VerifiedToken>
  readonly catalogue: Pick<Catalogue, 'find'>
  readonly draft: typeof draftMail
  readonly outbox: Outbox
  readonly transport: Transport
  readonly log: Log
  /** Told of each request that is answered with the mail of an earlier one. */
  readonly onRepeat?: ((id: string) => void) | undefined
  /** How long a caller waits for the relay; then the answer is `queued` while the same try goes on. */
  readonly inlineMs?: number
  readonly now?: () => number
}

const dayMs = 24 * 3_600_000

export function deliverer(parts: DeliverParts): Deliver {
  const { verify, catalogue, draft, outbox, onRepeat, inlineMs = 8_000, now = Date.now } = parts
  const sendFirst = firstTry(parts)

  return async function deliver({ app, kind, token }, line) {
    const { claims, faults, exp, outdated } = await verify(app, token)
    if (outdated) line.add({ secret: 'previous' })
    if (faults.length > 0) throw refusal(app, kind, claims, faults)
    const mail = catalogue.find(app, kind, claims.locale)
    const id = mailId({ app, kind: mail.kind, jti: claims.jti, token })
    line.add({ app, kind: mail.kind, locale: mail.locale, id, domain: domainOf(claims) })

    const write = draft(mail, claims)
    const expires = claimedExpiry(claims, mail) ?? now() + dayMs
    if (expires <= now()) return answerLate(id, line)

    const carriesSecret = mail.showsLink || mail.showsKey
    const answerBy = performance.now() + inlineMs
    const accepted = await outbox.accept({
      id,
      app,
      kind: mail.kind,
      recipient: claims.user_email,
      token,
      expires,
      retrySuppressed: claims.retry_suppressed,
      windowMs: windowMs({ jti: claims.jti, exp, carriesSecret, now: now() }),
    })
    if (accepted.state === 'limited')
      throw new MailerError('rate_limited', { retryAfterS: accepted.retryAfterS })
    if (accepted.state === 'suppressed') throw new MailerError('suppressed')
    if (accepted.state === 'existing') return answerRepeat(accepted.mail, line)

    const { lease } = accepted
    const message = write({ id: messageIdOf(lease), date: new Date(now()) })
    // a store that took long leaves the relay less of the caller's time
    const waitMs = Math.max(0, answerBy - performance.now())
    return answerOf(await sendFirst({ lease, message, waitMs, line }), id)
  }

  /** With what the mail, where there is one, finds wrong besides. */
  function refusal(
    app: string,
    kind: string | undefined,
    claims: Claims,
    faults: readonly ClaimFault[],
  ): unknown {
    try {
      draft(catalogue.find(app, kind, claims.locale), claims, faults)
    } catch (error) {
      if (!(error instanceof MailerError && error.code === 'mail_unknown')) return error
    }
    return invalidClaims(faults)
  }

  /** A mail with a dead link is worse than no mail. But a repeat is answered with the mail that left in time. */
  async function answerLate(id: string, line: LogLine): Promise<AcceptedAnswer> {
    const earlier = await outbox.find(id)
    const leftInTime = earlier?.state === 'sending' || (earlier?.state === 'sent' && now() < earlier.due)
    if (!earlier || !leftInTime) throw new MailerError('expired', { reason: 'link' })
    return answerRepeat(earlier, line)
  }

  async function answerRepeat(earlier: StoredMail, line: LogLine): Promise<AcceptedAnswer> {
    line.add({ repeated: true })
    onRepeat?.(earlier.id)
    return { ...answerOf(await outbox.waitFor(earlier, inlineMs), earlier.id), repeated: true }
  }
}

function answerOf({ state, detail }: MailStatus, id: string): AcceptedAnswer {
  // the mail is no longer there
  if (detail === 'undone') throw new MailerError('store_unavailable', { reason: detail })
  if (state === 'dead')
    throw new MailerError(detail === 'expired' ? 'expired' : 'refused', {
      ...(detail && { reason: detail }),
      id,
    })
  return acceptedAnswer(state === 'sent' ? 'sent' : 'queued', id)
}

function domainOf({ user_email: address }: Claims): string {
  return address.slice(address.lastIndexOf('@') + 1)
}
