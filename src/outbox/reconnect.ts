/** Owns whether the store can be reached: it fails at once while it cannot, and comes back by itself. */
import type { BaseLogger } from 'pino'
import { type Detail, MailerError } from '../errors.ts'
import { pause } from '../timers.ts'
import type { Engine } from './store/engine.ts'
import type { Operation, OperationResult } from './store/operation.ts'

const firstTryMs = 3000
const retryMinMs = 100
const retryMaxMs = 1000

export type Log = Pick<BaseLogger, 'info' | 'warn' | 'error'>

/** Why the outbox cannot be opened by this program at all: a sentence for the operator. */
export class OutboxError extends Error {
  override readonly name = 'OutboxError'
}

export interface ReconnectingStore {
  run(operations: readonly Operation[]): Promise<OperationResult[]>
  /** Why the store cannot be used just now; `undefined` when all is well. */
  trouble(): Detail | undefined
  /** Resolves when the store can be used again, and when the lifeline is cut. */
  restored(): Promise<void>
  close(): Promise<void>
}

/**
 * Opens the engine and keeps it open. Resolves after the first try whether it succeeded or not, and when that takes
 * long; rejects, with a sentence for the operator, only when this program is too old for the schema it found.
 */
export async function reconnectingStore(engine: Engine, log: Log): Promise<ReconnectingStore> {
  let trouble: Detail | undefined = 'starting'
  let restoring: Promise<void> | undefined
  const closing = new AbortController()

  async function tryOpen(): Promise<void> {
    try {
      await engine.open()
      if (trouble !== 'starting') log.info({ store: engine.name }, 'the store is back')
      trouble = undefined
    } catch (error) {
      const reason = reasonOf(error)
      if (reason !== trouble) log.error({ store: engine.name, reason }, 'the store cannot be reached')
      trouble = reason
      if (reason === 'schema_newer') throw error
    }
  }

  async function restore(): Promise<void> {
    for (let waitMs = 0; trouble !== undefined && !closing.signal.aborted; ) {
      await pause(waitMs, closing.signal)
      if (!closing.signal.aborted) await tryOpen().catch(() => undefined)
      waitMs = Math.min(Math.max(retryMinMs, waitMs * 2), retryMaxMs)
    }
    restoring = undefined
  }

  async function run(operations: readonly Operation[]): Promise<OperationResult[]> {
    if (trouble !== undefined) throw new MailerError('store_unavailable', { reason: 'down' })
    try {
      return await engine.run(operations)
    } catch (error) {
      if (isUnavailable(error)) {
        if (trouble === undefined)
          log.error({ store: engine.name, reason: reasonOf(error) }, 'the store is gone')
        trouble = reasonOf(error)
        restoring ??= restore()
      }
      throw error
    }
  }

  const opening = tryOpen().catch((error: MailerError) => {
    throw new OutboxError(error.cause instanceof Error ? error.cause.message : error.code)
  })
  await Promise.race([opening, pause(firstTryMs)])
  if (trouble !== undefined) restoring = opening.catch(() => undefined).then(restore)
  return {
    run,
    trouble: () => trouble,
    restored: () => restoring ?? Promise.resolve(),
    async close() {
      closing.abort()
      await restoring
      trouble = 'closed'
      await engine.close()
    },
  }
}

/** The store is at fault, not the operation. */
export const isUnavailable = (error: unknown): error is MailerError =>
  error instanceof MailerError && error.code === 'store_unavailable'

const reasonOf = (error: unknown): Detail =>
  (error instanceof MailerError ? error.reason : undefined) ?? 'unknown'
