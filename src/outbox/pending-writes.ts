/**
 * Owns the writes that must reach the store sooner or later, such as that a mail was sent. A write that fails because the
 * store is unavailable is kept in memory and tried again.
 */
import type { Log } from '../log.ts'
import type { StoreReason } from '../message.ts'
import { pause } from '../timers.ts'
import { isUnavailable, type ReconnectingStore } from './reconnect.ts'
import type { Operation } from './store/operation.ts'
import type { SqlRow } from './store/statement.ts'

const maxWaiting = 10_000
const retryPauseMs = 50
/** The longest pause after the store has refused the write itself. */
const refusedPauseMs = 2000

export interface PendingWritesParts {
  readonly rowsOf: (operation: Operation) => Promise<readonly SqlRow[]>
  readonly store: Pick<ReconnectingStore, 'trouble' | 'restored'>
  readonly log: Pick<Log, 'error'>
}

export interface PendingWrites {
  /**
   * Resolves to the operation's rows when the store has it, and to `undefined` when it was given up. `onDelayed` is
   * called after each failed try that another one follows. Never rejects.
   */
  readonly write: (operation: Operation, onDelayed?: () => void) => Promise<readonly SqlRow[] | undefined>
  /** Resolves when no write is being tried again. */
  readonly drained: () => Promise<unknown>
}

export function pendingWrites({ rowsOf, store, log }: PendingWritesParts): PendingWrites {
  const retries = new Set<Promise<unknown>>()
  let waiting = 0

  async function write(operation: Operation, onDelayed: () => void = () => undefined) {
    try {
      return await rowsOf(operation)
    } catch (error) {
      const retried = retry(operation, onDelayed, error).finally(() => retries.delete(retried))
      retries.add(retried)
      return retried
    }
  }

  async function retry(operation: Operation, onDelayed: () => void, firstFailure: unknown) {
    let failure = firstFailure
    for (let tried = 1; ; tried += 1) {
      const reason = reasonToGiveUp(operation, failure)
      if (reason !== undefined) {
        log.error(
          { op: operation.op, reason },
          'the outbox gave up on an operation; the lease decides instead',
        )
        return undefined
      }
      const refused = !isUnavailable(failure)
      if (refused && tried === 1) {
        const id = 'id' in operation ? operation.id : undefined
        log.error({ op: operation.op, id, reason: 'internal' }, 'the store refuses that a mail was sent')
      }
      onDelayed()
      waiting += 1
      await store.restored()
      await pause(refused ? Math.min(retryPauseMs * 2 ** tried, refusedPauseMs) : retryPauseMs)
      waiting -= 1
      try {
        return await rowsOf(operation)
      } catch (error) {
        failure = error
      }
    }
  }

  /** `undefined` when another try makes sense. That a mail was sent must be written: whoever does not know sends it again. */
  function reasonToGiveUp(operation: Operation, failure: unknown): StoreReason | undefined {
    const mustStand = operation.op === 'settle' && operation.state === 'sent'
    if (!isUnavailable(failure) && !mustStand) return 'internal'
    if (store.trouble() === 'closed') return 'closed'
    return waiting >= maxWaiting ? 'too_many' : undefined
  }

  return { write, drained: () => Promise.allSettled(retries) }
}
