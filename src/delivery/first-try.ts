/** Owns the try at a mail that its request waits for, and what happens to that try when the request stops waiting. */
import { describeError, type Log, type LogLine } from '../log.ts'
import { type Message, type Receipt, receiptFacts, type Transport } from '../message.ts'
import type { Lease, MailStatus, Outbox } from '../outbox/api.ts'
import { settlementOf } from '../outbox/settlement.ts'
import { within } from '../timers.ts'

export interface FirstTryParts {
  readonly outbox: Pick<Outbox, 'settle'>
  readonly transport: Transport
  readonly log: Log
  readonly now?: () => number
}

export interface FirstTry {
  readonly lease: Lease
  readonly message: Message
  /** How long the request waits. The try goes on after that, and no second one begins beside it. */
  readonly waitMs: number
  readonly line: LogLine
}

/** Resolves with the mail's status, which is `sending` when the wait is over. Rejects only for a bug of ours. */
export function firstTry({
  outbox,
  transport,
  log,
  now = Date.now,
}: FirstTryParts): (attempt: FirstTry) => Promise<MailStatus> {
  return async ({ lease, message, waitMs, line }) => {
    const started = now()
    const sending = transport.send(message)
    const receipt = await within(waitMs, sending).catch((bug: unknown) => {
      // the caller is answered with error 2, so nothing may be sent later
      void outbox.settle(lease, { state: 'dead', detail: 'internal' })
      throw bug
    })
    if (receipt) {
      line.add(receiptFacts(receipt))
      return settle(lease, receipt)
    }
    void sending.then(
      (late) => settleLate(lease, late, started),
      (bug: unknown) => requeue(lease, bug),
    )
    return { state: 'sending', detail: null }
  }

  /** Sent stays sent whatever the store says, so the request does not wait for the store: a crash may send it twice. */
  function settle(lease: Lease, receipt: Receipt): Promise<MailStatus> | MailStatus {
    const settled = outbox.settle(lease, settlementOf(receipt))
    return receipt.outcome === 'sent' ? { state: 'sent', detail: null } : settled
  }

  function settleLate(lease: Lease, receipt: Receipt, started: number): Promise<MailStatus> {
    const { id, app, kind } = lease
    log.info({ id, app, kind, ...receiptFacts(receipt), ms: now() - started }, 'mail tried after its answer')
    return outbox.settle(lease, settlementOf(receipt))
  }

  function requeue(lease: Lease, bug: unknown): Promise<MailStatus> {
    const { id, app, kind } = lease
    log.error({ id, app, kind, bug: describeError(bug) }, 'bug')
    return outbox.settle(lease, { state: 'queued', detail: 'internal' })
  }
}
