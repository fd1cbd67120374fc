/** Owns the story of one request: token → claims → message → stored → receipt. */
import type { KeyObject } from 'node:crypto'
import { type Message, type Receipt, type ReceiptFacts, receiptFacts, type Transport } from '../message.ts'
import { settlementOf } from '../outbox/settlement.ts'
import { messageIdOf } from './retry.ts'
import type { Claims } from '../contract.ts'
import { MailerError } from '../errors.ts'
import { describeError, type Log } from '../log.ts'
import type { Catalogue, MailTemplate } from '../mails/catalogue.ts'
import { linkExpiry } from '../mails/claims.ts'
import { draftMail } from '../mails/render.ts'
import { type Meter, silentMeter } from '../meter.ts'
import { mailId, windowMs } from '../outbox/mail-id.ts'
import type { Lease, NewMail, Outbox } from '../outbox/api.ts'
import type { MailStatus } from '../outbox/waiters.ts'
import { within } from '../timers.ts'
import { verifyToken } from '../token.ts'

/** One request for a mail, whatever way it came. `kind` is missing where the app's default kind is meant. */
export interface MailRequest {
  readonly app: string
  readonly kind: string | undefined
  readonly token: string
}

/** What is known about a request so far, for its one log line: nothing that identifies a person. */
export interface Facts extends Partial<ReceiptFacts> {
  app?: string
  kind?: string
  locale?: string
  id?: string
  /** Of the recipient. */
  domain?: string
  /** The caller has not moved to the new secret yet. */
  secret?: 'previous'
  /** The mail was there already. */
  repeated?: true
  /** How long the request took. */
  ms?: number
}

export interface Delivered {
  readonly code: 'sent' | 'queued'
  readonly id: string
}

/** Resolves when the mail is sent or stored, else throws a `MailerError`. `facts` fills up on the way. */
export type Deliver = (request: MailRequest, facts: Facts) => Promise<Delivered>

export interface DeliverParts {
  readonly keysOf: (app: string) => readonly KeyObject[]
  readonly catalogue: Pick<Catalogue, 'find'>
  readonly outbox: Outbox
  readonly transport: Transport
  readonly log: Log
  readonly meter?: Pick<Meter, 'timed'> | undefined
  /** How long a caller waits for the relay; then the answer is `queued` while the same try goes on. */
  readonly inlineMs?: number
  readonly now?: () => number
}

const dayMs = 24 * 3_600_000

export function deliverer(parts: DeliverParts): Deliver {
  const { keysOf, catalogue, outbox, transport, log, inlineMs = 8_000, now = Date.now } = parts
  const { timed } = parts.meter ?? silentMeter

  return async ({ app, kind, token }, facts) => {
    const { claims, exp, outdated } = timed('verify', () => verifyToken(token, keysOf(app), now()))
    if (outdated) facts.secret = 'previous'
    const mail = catalogue.find(app, kind, claims.locale)
    const id = mailId({ app, kind: mail.kind, jti: claims.jti, token })
    Object.assign(facts, { app, kind: mail.kind, locale: mail.locale, id, domain: domainOf(claims) })
    const write = timed('render', () => draftMail(mail, claims))
    const expires = expiryOf(mail, claims)
    if (expires <= now()) return answerLate(id, facts)
    const newMail: NewMail = {
      id,
      app,
      kind: mail.kind,
      recipient: claims.user_email,
      token,
      expires,
      windowMs: windowMs({
        jti: claims.jti,
        exp,
        carriesSecret: mail.showsLink || mail.showsKey,
        now: now(),
      }),
    }
    const asked = performance.now()
    const accepted = await timed('store', () => outbox.accept(newMail))
    if (accepted.state === 'limited')
      throw new MailerError('rate_limited', { retryAfterS: accepted.retryAfterS })
    if (accepted.state === 'owner') {
      const { lease } = accepted
      const message = write({ id: messageIdOf(lease), date: new Date(now()) })
      // a store that took long leaves the relay less of the caller's time
      const leftMs = Math.max(0, inlineMs - (performance.now() - asked))
      return answerStatus(await sendNow(lease, message, leftMs, facts), id)
    }
    facts.repeated = true
    return answerStatus(await outbox.waitFor(accepted.mail, inlineMs), id)
  }

  function expiryOf(mail: MailTemplate, claims: Claims): number {
    return (mail.showsLink ? linkExpiry(claims.email_link_token ?? '') : undefined) ?? now() + dayMs
  }

  /** A link that is dead on arrival is worse than no mail; but a repeat hears of the mail that left in time. */
  async function answerLate(id: string, facts: Facts): Promise<Delivered> {
    const standing = await outbox.find(id)
    const stands = standing?.state === 'sending' || (standing?.state === 'sent' && now() < standing.due)
    if (!standing || !stands) throw new MailerError('expired', { reason: 'link' })
    facts.repeated = true
    return answerStatus(await outbox.waitFor(standing, inlineMs), id)
  }

  /** The try goes on when the caller does not wait for its end, and is never made a second time beside it. */
  async function sendNow(lease: Lease, message: Message, waitMs: number, facts: Facts): Promise<MailStatus> {
    const started = now()
    const sending = transport.send(message)
    const receipt = await within(waitMs, sending).catch((bug: unknown) => {
      // the caller hears error 2, so nothing may be sent later
      void outbox.settle(lease, { state: 'dead', detail: 'internal' })
      throw bug
    })
    if (receipt) {
      Object.assign(facts, receiptFacts(receipt))
      return settle(lease, receipt)
    }
    const { id, app, kind } = lease
    void sending.then(
      (late) => {
        log.info({ id, app, kind, ...receiptFacts(late), ms: now() - started }, 'mail took long')
        return settle(lease, late)
      },
      (bug: unknown) => {
        log.error({ id, app, kind, bug: describeError(bug) }, 'bug')
        return outbox.settle(lease, { state: 'queued', detail: 'internal' })
      },
    )
    return { state: 'sending' }
  }

  /** A sent mail is sent whatever the store says, so nobody waits for it: a crash in between may send it twice. */
  function settle(lease: Lease, receipt: Receipt): Promise<MailStatus> | MailStatus {
    const settled = outbox.settle(lease, settlementOf(receipt))
    return receipt.outcome === 'sent' ? { state: 'sent' } : settled
  }
}

function answerStatus({ state, detail }: MailStatus, id: string): Delivered {
  // the store failed whoever asked first, and there is no such mail any more
  if (detail === 'undone') throw new MailerError('store_unavailable', { reason: detail })
  if (state === 'dead')
    throw new MailerError(detail === 'expired' ? 'expired' : 'refused', {
      ...(detail && { reason: detail }),
      id,
    })
  return { code: state === 'sent' ? 'sent' : 'queued', id }
}

function domainOf({ user_email: address }: Claims): string {
  return address.slice(address.lastIndexOf('@') + 1)
}
