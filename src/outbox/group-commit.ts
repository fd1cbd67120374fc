/** Owns group commit: operations that arrive while one transaction runs share the next. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MailerError } from '../errors.ts'
import { isUnavailable } from './reconnect.ts'

const answersPerTurn = 32
/**
 * How long the next transaction waits for company, for each urgent operation of the last one: not at all for a lone
 * caller, up to `gatherMs` under load.
 */
const gatherMsPerUrgent = 0.4
/** So many operations wait for no more. */
const company = 32

export interface BatchOptions<Op, Result> {
  /** Carries out a list as one transaction, all or nothing. */
  readonly run: (operations: readonly Op[]) => Promise<Result[]>
  /** How many bytes of memory an operation takes while it waits. */
  readonly weigh: (operation: Op) => number
  readonly maxOperations?: number
  readonly maxBytes?: number
  /** An operation that would exceed one of these is refused at once. */
  readonly maxWaiting?: number
  readonly maxWaitingBytes?: number
  /** The longest time between the starts of two transactions under load: ten mails in one cost a third of ten alone. */
  readonly gatherMs?: number
}

export interface Batcher<Op, Result> {
  /**
   * Resolves when the transaction with this operation has committed. Throws `MailerError('store_unavailable')` with
   * reason `busy` when the queue is full, or what `run` threw for the operation itself. An operation with `waitMs` joins
   * the transaction of the next urgent one; after that time, or when many wait, they have one of their own.
   */
  submit(operation: Op, waitMs?: number): Promise<Result>
  /** Resolves when no operation waits or runs any more. */
  idle(): Promise<void>
}

interface QueuedOperation<Op, Result> {
  readonly operation: Op
  readonly bytes: number
  /** 0: it is urgent. */
  readonly waitMs: number
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/** Runs one transaction at a time. A lone operation waits only for the end of the event loop's turn. */
export function batcher<Op, Result>(options: BatchOptions<Op, Result>): Batcher<Op, Result> {
  const { run, weigh, maxOperations = 256, maxBytes = 1 << 20 } = options
  const { maxWaiting = 10_000, maxWaitingBytes = 32 << 20 } = options
  const { gatherMs = 4 } = options
  let queue: QueuedOperation<Op, Result>[] = []
  let queueBytes = 0
  let running: Promise<void> | undefined
  let delayedStart: NodeJS.Timeout | undefined
  let delayedUntil = Infinity
  let answering: Promise<unknown> = Promise.resolve()
  let lastStart = -Infinity
  /** Of the last transaction. */
  let urgentCount = 0

  function submit(operation: Op, waitMs = 0): Promise<Result> {
    const bytes = weigh(operation)
    if (queue.length >= maxWaiting || queueBytes + bytes > maxWaitingBytes)
      return Promise.reject(new MailerError('store_unavailable', { reason: 'busy' }))
    return new Promise((resolve, reject) => {
      queue.push({ operation, bytes, waitMs, resolve, reject })
      queueBytes += bytes
      if (waitMs > 0 && queue.length < company) startLater(waitMs)
      else start()
    })
  }

  function start(): void {
    running ??= runAll()
  }

  function startLater(waitMs: number): void {
    const until = performance.now() + waitMs
    if (until >= delayedUntil) return
    stopTimer()
    delayedUntil = until
    delayedStart = setTimeout(() => {
      // Forgotten also while a transaction runs, or later operations would wait for a timer that has fired already.
      stopTimer()
      start()
    }, waitMs)
  }

  function stopTimer(): void {
    clearTimeout(delayedStart)
    delayedUntil = Infinity
  }

  async function runAll(): Promise<void> {
    await new Promise(setImmediate)
    while (queue.length > 0) {
      const restMs = lastStart + Math.min(urgentCount * gatherMsPerUrgent, gatherMs) - performance.now()
      if (urgentCount > 1 && restMs > 0) await sleep(restMs)
      stopTimer()
      await runBatch(takeBatch())
      if (queue.length < company && queue.every(({ waitMs }) => waitMs > 0)) break
    }
    running = undefined
    if (queue.length > 0) startLater(Math.min(...queue.map(({ waitMs }) => waitMs)))
  }

  function takeBatch(): QueuedOperation<Op, Result>[] {
    let bytes = 0
    const end = queue.findIndex((queued, at) => {
      bytes += queued.bytes
      return at >= maxOperations || (at > 0 && bytes > maxBytes)
    })
    const batch = end === -1 ? queue : queue.slice(0, end)
    queue = end === -1 ? [] : queue.slice(end)
    queueBytes -= batch.reduce((sum, queued) => sum + queued.bytes, 0)
    urgentCount = batch.reduce((count, { waitMs }) => count + (waitMs > 0 ? 0 : 1), 0)
    lastStart = performance.now()
    return batch
  }

  async function runBatch(batch: readonly QueuedOperation<Op, Result>[]): Promise<void> {
    try {
      const results = await run(batch.map(({ operation }) => operation))
      // Resolves to nothing: each result would hold the one before it, so that all stayed in memory.
      answering = Promise.all([answering, answerAll(batch, results)]).then(() => undefined)
    } catch (error) {
      // One operation is at fault and all were rolled back. Run one by one, only that operation fails.
      if (!isUnavailable(error) && batch.length > 1) for (const queued of batch) await runBatch([queued])
      else for (const { reject } of batch) reject(error)
    }
  }

  /** A few in each turn of the event loop: the callers of two hundred answers would block it for all others. */
  async function answerAll(
    batch: readonly QueuedOperation<Op, Result>[],
    results: readonly Result[],
  ): Promise<void> {
    for (const [index, result] of results.entries()) {
      if (index > 0 && index % answersPerTurn === 0) await new Promise(setImmediate)
      batch[index]?.resolve(result)
    }
  }

  return {
    submit,
    async idle() {
      while (running ?? queue.length > 0) {
        start()
        await running
      }
      await answering
    },
  }
}
