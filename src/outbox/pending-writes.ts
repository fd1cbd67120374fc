/**
 * Owns what must reach the store sooner or later, such as the news of a mail that has left: what the store does not take
 * at the first try is kept in memory and tried until it does.
 */
import type { StoreReason } from '../message.ts'
import { pause } from '../timers.ts'
import type { SqlRow } from './store/statement.ts'
import { isUnavailable, type ReconnectingStore, type Log } from './reconnect.ts'
import type { Operation } from './store/operation.ts'

const maxStranded = 10_000
const againMs = 50

export interface PendingWritesParts {
  readonly rowsOf: (operation: Operation) => Promise<readonly SqlRow[]>
  readonly lifeline: Pick<ReconnectingStore, 'trouble' | 'restored'>
  readonly log: Log
}

export interface PendingWrites {
  /**
   * Resolves to the operation's rows when the store has it, and to `undefined` when it never will. `away` is called when
   * that takes longer than one try. Never rejects.
   */
  readonly write: (operation: Operation, away?: () => void) => Promise<readonly SqlRow[] | undefined>
  /** Resolves when nothing is tried again any more. */
  readonly drained: () => Promise<unknown>
}

export function pendingWrites({ rowsOf, lifeline, log }: PendingWritesParts): PendingWrites {
  const landing = new Set<Promise<unknown>>()
  let stranded = 0

  async function land(operation: Operation, away: () => void = () => undefined) {
    try {
      return await rowsOf(operation)
    } catch (error) {
      const again = landAgain(operation, away, error).finally(() => landing.delete(again))
      landing.add(again)
      return again
    }
  }

  async function landAgain(operation: Operation, away: () => void, failure: unknown) {
    for (let error = failure; ; ) {
      const lost = lossOf(error)
      if (lost !== undefined) {
        log.error(
          { op: operation.op, reason: lost },
          'the outbox gave up on an operation; the lease decides instead',
        )
        return undefined
      }
      away()
      stranded += 1
      await lifeline.restored()
      await pause(againMs)
      stranded -= 1
      try {
        return await rowsOf(operation)
      } catch (again) {
        error = again
      }
    }
  }

  /** Why an operation cannot be tried again; `undefined` when it can. */
  function lossOf(error: unknown): StoreReason | undefined {
    if (!isUnavailable(error)) return 'internal'
    if (lifeline.trouble() === 'closed') return 'closed'
    return stranded >= maxStranded ? 'too_many' : undefined
  }

  return { write: land, drained: () => Promise.allSettled(landing) }
}
