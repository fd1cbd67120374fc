/** Owns group commit: operations that gather while one transaction runs go together into the next. */
import { MailerError } from '../errors.ts'

const answersPerTurn = 32

export interface BatchOptions<Op, Result> {
  /** Carries out a list as one transaction, all or nothing. */
  readonly run: (operations: readonly Op[]) => Promise<Result[]>
  /** Bytes an operation keeps in memory while it waits. */
  readonly weigh: (operation: Op) => number
  readonly maxOperations?: number
  readonly maxBytes?: number
  /** Beyond either of these a new operation is refused at once. */
  readonly maxWaiting?: number
  readonly maxWaitingBytes?: number
}

export interface Batcher<Op, Result> {
  /**
   * Resolves when the transaction with this operation has committed. Throws `MailerError('store_unavailable')` with
   * reason `busy` when the line is full, or what `run` threw for the operation itself.
   */
  submit(operation: Op): Promise<Result>
  /** Resolves when nothing waits or runs any more. */
  idle(): Promise<void>
}

interface Waiting<Op, Result> {
  readonly operation: Op
  readonly bytes: number
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/** One transaction at a time; a lone operation waits for the end of the event loop's turn and no longer. */
export function batcher<Op, Result>(options: BatchOptions<Op, Result>): Batcher<Op, Result> {
  const { run, weigh, maxOperations = 256, maxBytes = 1 << 20 } = options
  const { maxWaiting = 10_000, maxWaitingBytes = 32 << 20 } = options
  let waiting: Waiting<Op, Result>[] = []
  let waitingBytes = 0
  let running: Promise<void> | undefined
  let answering: Promise<unknown> = Promise.resolve()

  function submit(operation: Op): Promise<Result> {
    const bytes = weigh(operation)
    if (waiting.length >= maxWaiting || waitingBytes + bytes > maxWaitingBytes)
      return Promise.reject(new MailerError('store_unavailable', { reason: 'busy' }))
    return new Promise((resolve, reject) => {
      waiting.push({ operation, bytes, resolve, reject })
      waitingBytes += bytes
      running ??= runAll()
    })
  }

  async function runAll(): Promise<void> {
    await new Promise(setImmediate)
    while (waiting.length > 0) await runBatch(takeBatch())
    running = undefined
  }

  function takeBatch(): Waiting<Op, Result>[] {
    let bytes = 0
    const full = waiting.findIndex((one, at) => {
      bytes += one.bytes
      return at >= maxOperations || (at > 0 && bytes > maxBytes)
    })
    const batch = full === -1 ? waiting : waiting.slice(0, full)
    waiting = full === -1 ? [] : waiting.slice(full)
    waitingBytes -= batch.reduce((sum, one) => sum + one.bytes, 0)
    return batch
  }

  async function runBatch(batch: readonly Waiting<Op, Result>[]): Promise<void> {
    try {
      const results = await run(batch.map(({ operation }) => operation))
      answering = Promise.all([answering, answerAll(batch, results)])
    } catch (error) {
      const gone = error instanceof MailerError && error.code === 'store_unavailable'
      // One of them is at fault and the transaction took all back: alone, only that one fails.
      if (!gone && batch.length > 1) for (const one of batch) await runBatch([one])
      else for (const { reject } of batch) reject(error)
    }
  }

  /** A few in each turn of the event loop: what two hundred do with their answers would hold up everybody else. */
  async function answerAll(batch: readonly Waiting<Op, Result>[], results: readonly Result[]): Promise<void> {
    for (const [index, result] of results.entries()) {
      if (index > 0 && index % answersPerTurn === 0) await new Promise(setImmediate)
      batch[index]?.resolve(result)
    }
  }

  return {
    submit,
    async idle() {
      await running
      await answering
    },
  }
}
