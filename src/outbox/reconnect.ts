/** Owns whether the store can be reached: operations fail at once while it cannot, and it is opened again and again until it can. */
import { type Detail, MailerError } from '../errors.ts'
import type { Log } from '../log.ts'
import { pause, within } from '../timers.ts'
import type { Engine } from './store/engine.ts'
import type { Operation, OperationResult } from './store/operation.ts'

const firstTryMs = 3000
const retryMinMs = 100
const retryMaxMs = 1000

/** Why the outbox cannot be opened by this program at all: a sentence for the operator. */
export class OutboxError extends Error {
  override readonly name = 'OutboxError'
}

export interface ReconnectingStore {
  readonly run: (operations: readonly Operation[]) => Promise<OperationResult[]>
  /** Why the store cannot be used just now; `undefined` when all is well. */
  readonly trouble: () => Detail | undefined
  /** Resolves after the first try to open the store, whether it succeeded or not, or after `ms`. */
  readonly ready: (ms: number) => Promise<void>
  /** Resolves when the store can be used again, or when it is closed. */
  readonly restored: () => Promise<void>
  readonly close: () => Promise<void>
}

/**
 * Opens the engine and keeps it open. Resolves after the first try, whether it succeeded or not, or after 3 s. Rejects,
 * with a sentence for the operator, only when this program is too old for the schema it found.
 */
export async function reconnectingStore(
  engine: Engine,
  log: Pick<Log, 'info' | 'error'>,
): Promise<ReconnectingStore> {
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
  await within(firstTryMs, opening)
  const tried = opening.catch(() => undefined)
  if (trouble !== undefined) restoring = tried.then(restore)
  return {
    run,
    trouble: () => trouble,
    ready: (ms) => within(ms, tried),
    restored: () => restoring ?? Promise.resolve(),
    async close() {
      closing.abort()
      await restoring
      trouble = 'closed'
      await engine.close()
    },
  }
}

/** Is the store at fault, and not the operation? */
export const isUnavailable = (error: unknown): error is MailerError =>
  error instanceof MailerError && error.code === 'store_unavailable'

const reasonOf = (error: unknown): Detail =>
  (error instanceof MailerError ? error.reason : undefined) ?? 'unknown'
