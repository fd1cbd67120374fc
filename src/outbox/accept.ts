/**
 * Owns the acceptance of a mail: it is stored before it is sent, and when the answer to its commit is lost, it is found
 * out whether it was.
 */
import { randomInt } from 'node:crypto'
import { MailerError } from '../errors.ts'
import { pause, within } from '../timers.ts'
import { type Accepted, type NewMail, type Outbox, storedMailSchema } from './api.ts'
import type { OperationQueues } from './operation-queues.ts'
import { isUnknown, type ReconnectingStore } from './reconnect.ts'
import type { Seal } from './seal.ts'
import { leaseMs } from './settlement.ts'
import type { Operation, OperationResult, SuppressionScope } from './store/operation.ts'
import { type Limits, quotasFor } from './store/quotas.ts'

const secondMs = 1000
const maxExpiryMs = 30 * 24 * 3600 * secondMs
const maxAcceptTurns = 2
/** A caller is answered within 25 s. */
const answeredMs = 22 * secondMs
const findOutPauseMs = 50

export interface AccepterOptions {
  readonly run: OperationQueues['run']
  readonly store: Pick<ReconnectingStore, 'trouble' | 'restored'>
  readonly seal: Seal
  readonly secrets: readonly string[]
  readonly limits: Limits
  readonly suppression?: SuppressionScope | undefined
  readonly clock: () => number
  readonly compareClocks: () => Promise<void>
  readonly count: (what: 'accepted') => void
  readonly findOutMs?: number
}

export function accepter({
  run,
  store,
  seal,
  secrets,
  limits,
  suppression,
  clock,
  compareClocks,
  count,
  findOutMs = answeredMs,
}: AccepterOptions): Outbox['accept'] {
  const isRotating = secrets.length > 1

  return async function accept(mail: NewMail): Promise<Accepted> {
    if (mail.retrySuppressed && suppression && isRotating) await renameSuppressed(mail.recipient)
    for (let turn = 1; turn <= maxAcceptTurns; turn += 1) {
      const accepted = await tryToAccept(mail)
      if (accepted !== undefined) return accepted
    }
    throw new MailerError('store_unavailable', { reason: 'gone' })
  }

  /**
   * A delivery lifts what is known by the recipient's name in the row of its mail: the new one. That the store is away is
   * told by the accept that follows.
   */
  async function renameSuppressed(recipient: string): Promise<void> {
    const [to, from] = seal.names(recipient)
    if (to !== undefined && from !== undefined)
      await run({ op: 'renameSuppressed', from, to }).catch(() => undefined)
  }

  /** `undefined` when the mail with this id was deleted between two statements, so that another try can store this one. */
  async function tryToAccept(mail: NewMail): Promise<Accepted | undefined> {
    await compareClocks()
    const { id, app, kind } = mail
    const started = performance.now()
    const now = Math.round(clock())
    // A link may say that it lives for years; nobody wants its mail after a month.
    const expires = Math.min(Math.ceil(mail.expires), now + maxExpiryMs)
    const recipient = seal.hide(mail.recipient)
    const leaseId = randomInt(1, 2 ** 47)
    const operation: Operation = {
      op: 'accept',
      id,
      app,
      kind,
      recipient,
      body: seal.seal(mail.token, `${id} ${app} ${kind}`),
      leaseId,
      due: now + leaseMs,
      expires,
      windowMs: Math.ceil(mail.windowMs),
      now,
      quotas: quotasFor(limits, recipient, app, now),
      scope: mail.retrySuppressed ? null : (suppression ?? null),
      lookedFor: suppression && !mail.retrySuppressed ? recipient : undefined,
      formerRecipient:
        suppression && !mail.retrySuppressed && isRotating ? seal.names(mail.recipient)[1] : undefined,
    }
    const {
      outcome,
      rows,
      until = now,
    } = await run(operation).catch((error: unknown) => {
      if (isUnknown(error)) return findOut(operation, started + findOutMs)
      throw error
    })
    // The lease is ours when the first answer to this accept was lost.
    if (outcome === 'owner' || (outcome === 'existing' && rows[0]?.['lease'] === leaseId)) {
      count('accepted')
      return { state: 'owner', lease: { id, app, kind, created: now, expires, attempts: 1, leaseId } }
    }
    if (outcome === 'existing') return { state: 'existing', mail: storedMailSchema.parse(rows[0]) }
    if (outcome === 'suppressed') return { state: 'suppressed' }
    if (outcome === 'gone') return undefined
    return { state: 'limited', retryAfterS: Math.max(1, Math.ceil((until - now) / secondMs)) }
  }

  /**
   * Repeats an accept whose commit may have succeeded, on new connections. Its insert waits for the first one where that
   * still runs, and then one of both stands, under the same lease. Never undone: whoever undoes can be killed before.
   */
  async function findOut(operation: Operation, deadline: number): Promise<OperationResult> {
    for (;;) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0 || store.trouble() === 'closed')
        throw new MailerError('store_unknown', { reason: 'timeout' })
      const again = store.restored().then(() => run(operation))
      const result = await within(
        leftMs,
        again.catch(() => undefined),
      )
      if (result !== undefined) return result
      await pause(findOutPauseMs)
    }
  }
}
