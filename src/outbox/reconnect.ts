/** Owns whether the store can be reached: operations fail at once while it cannot, and it is opened again and again until it can. */
import { type Detail, MailerError } from '../errors.ts'
import type { Log } from '../log.ts'
import { pause, within } from '../timers.ts'
import type { Engine } from './store/engine.ts'
import { type Operation, type OperationResult, readsOnly } from './store/operation.ts'
import { SetupError } from './store/setup.ts'

/** Of Postgres: a statement took longer than its time. */
const queryCanceled = '57014'
const firstTryMs = 3000
const retryMinMs = 100
const retryMaxMs = 500
/** For so long a write that succeeded shows that the next one will. */
const provenMs = 5000

/** Why the outbox cannot be opened by this program at all: a sentence for the operator. */
export class OutboxError extends Error {
  override readonly name = 'OutboxError'
}

export interface ReconnectingStore {
  readonly run: (operations: readonly Operation[]) => Promise<OperationResult[]>
  /**
   * Why the store cannot be used just now; `undefined` when all is well. Answers at once from what is known. When no
   * mail has shown it in the last 5 s, the question has a probe write in the background, for the next who asks.
   */
  readonly trouble: () => Detail | undefined
  /** Resolves after the first try to open the store, whether it succeeded or not, or after `ms`. */
  readonly ready: (ms: number) => Promise<void>
  /** Resolves when the store can be used again, or when it is closed. */
  readonly restored: () => Promise<void>
  readonly close: () => Promise<void>
}

/**
 * Opens the engine and keeps it open. Resolves after the first try, whether it succeeded or not, or after 3 s. Rejects,
 * with a sentence for the operator, only when this program is too old for the schema it found: a newer one that appears
 * later is a deploy.
 */
export async function reconnectingStore(
  engine: Engine,
  log: Pick<Log, 'info' | 'error'>,
): Promise<ReconnectingStore> {
  let trouble: Detail | undefined = 'starting'
  let restoring: Promise<void> | undefined
  let probing: Promise<void> | undefined
  /** How often the store has been opened. */
  let opened = 0
  /** When a write last succeeded. */
  let provenAt = 0
  /** Has the log a line on what keeps the store from being opened? */
  let told = true
  const closing = new AbortController()

  async function tryOpen(): Promise<void> {
    try {
      await engine.open(opened > 0)
      if (trouble !== 'starting') log.info({ store: engine.name }, 'the store is back')
      opened += 1
      provenAt = performance.now()
      trouble = undefined
    } catch (error) {
      const reason = reasonOf(error)
      if (reason !== trouble || !told) tell(error, reason)
      trouble = reason
      if (reason === 'schema_newer') throw error
    }
  }

  function tell(error: unknown, reason: Detail): void {
    told = true
    const cause = error instanceof Error ? error.cause : undefined
    if (cause instanceof SetupError)
      log.error({ store: engine.name, reason, todo: cause.message }, 'the store cannot be set up')
    else log.error({ store: engine.name, reason }, 'the store cannot be reached')
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
    const began = opened
    try {
      const results = await engine.run(operations)
      if (!operations.every(readsOnly)) provenAt = performance.now()
      return results
    } catch (error) {
      // What began before the store was opened anew says nothing about the new connections.
      if (isUnavailable(error) && began === opened && !isSlowQuestion(operations, error)) lose(error)
      throw error
    }
  }

  function lose(error: MailerError): void {
    told = false
    if (trouble === undefined) log.error({ store: engine.name, reason: reasonOf(error) }, 'the store is gone')
    trouble = reasonOf(error)
    restoring ??= restore()
  }

  function askForTrouble(): Detail | undefined {
    const isDoubtful = performance.now() - provenAt > provenMs && !closing.signal.aborted
    if (trouble === undefined && isDoubtful) probing ??= probe()
    return trouble
  }

  async function probe(): Promise<void> {
    const began = opened
    try {
      await engine.probe()
      provenAt = performance.now()
    } catch (error) {
      const failure = isUnavailable(error) ? error : new MailerError('store_unavailable', { cause: error })
      if (trouble === undefined && began === opened) lose(failure)
    }
    probing = undefined
  }

  const opening = tryOpen().catch((error: MailerError) => {
    throw new OutboxError(error.cause instanceof Error ? error.cause.message : error.code)
  })
  await within(firstTryMs, opening)
  const tried = opening.catch(() => undefined)
  if (trouble !== undefined) restoring = tried.then(restore)
  return {
    run,
    trouble: askForTrouble,
    ready: (ms) => within(ms, tried),
    restored: () => restoring ?? Promise.resolve(),
    async close() {
      closing.abort()
      await Promise.all([restoring, probing])
      trouble = 'closed'
      await engine.close()
    },
  }
}

/** Is the store at fault, and not the operation? */
export const isUnavailable = (error: unknown): error is MailerError =>
  error instanceof MailerError && (error.code === 'store_unavailable' || isUnknown(error))

/** May the operation have been carried out all the same? */
export const isUnknown = (error: unknown) => error instanceof MailerError && error.code === 'store_unknown'

/**
 * Did the server end a mere question because it took too long? That says nothing about mails: a store that is slow for
 * them too is found out by the next one.
 */
const isSlowQuestion = (operations: readonly Operation[], error: MailerError) =>
  error.reason === queryCanceled && operations.every(readsOnly)

const reasonOf = (error: unknown): Detail =>
  (error instanceof MailerError ? error.reason : undefined) ?? 'unknown'
