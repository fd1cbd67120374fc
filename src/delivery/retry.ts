/** Owns one try at a mail: what a receipt means for the outbox, and the tries that no request waits for. */
import { settlementOf } from '../outbox/settlement.ts'
import type { Log } from '../log.ts'
import type { Catalogue } from '../mails/catalogue.ts'
import { renderMail } from '../mails/render.ts'
import { type Message, type Receipt, receiptFacts, type Transport } from '../message.ts'
import { MailerError } from '../errors.ts'
import type { Due, Settlement } from '../outbox/api.ts'
import { messageIdOf } from '../outbox/mail-id.ts'
import { claimsOfSealed } from '../token.ts'

/** A line for each relay that did not take a mail: with several of them the last word alone would hide the others. */
export function relayLog(log: Log): (receipt: Receipt, message: Message, ms: number) => void {
  return (receipt, { id, app, kind }, ms) => {
    if (receipt.outcome !== 'sent')
      log.warn({ id, app, kind, ...receiptFacts(receipt), ms }, 'relay did not take it')
  }
}

export interface RetryParts {
  readonly catalogue: Pick<Catalogue, 'find'>
  readonly transport: Transport
  readonly log: Log
  readonly now?: () => number
}

/** Tries a stored mail once more. It is written anew from its token, with the id and so the Message-ID it always had. */
export function retrier({
  catalogue,
  transport,
  log,
  now = Date.now,
}: RetryParts): (due: Due) => Promise<Settlement> {
  return async (due) => {
    const { id, app, kind, attempts } = due
    const started = now()
    try {
      const receipt = await transport.send(messageOf(due), { onlyRelay: due.stayWith, fromBacklog: true })
      log.info(
        { id, app, kind, attempt: attempts, ...receiptFacts(receipt), ms: now() - started },
        'mail tried again',
      )
      return settlementOf(receipt)
    } catch (error) {
      if (!(error instanceof MailerError)) throw error
      // the catalogue has changed since; perhaps it changes back before the mail expires
      log.error(
        { id, app, kind, attempt: attempts, code: error.code, claim: error.claim },
        'mail cannot be written',
      )
      return { state: 'queued', detail: error.code }
    }
  }

  function messageOf(due: Due): Message {
    const claims = claimsOfSealed(due.token)
    const mail = catalogue.find(due.app, due.kind, claims.locale)
    return renderMail(mail, claims, { id: messageIdOf(due), date: new Date(now()) })
  }
}
