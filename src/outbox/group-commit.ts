/** Owns group commit: operations that gather while one transaction runs go together into the next. */
import { setTimeout as pause } from 'node:timers/promises'
import { MailerError } from '../errors.ts'
import { isUnavailable } from './reconnect.ts'

const answersPerTurn = 32
/** Grows into waiting where more than 2,500 come in a second, and back into none where fewer do. */
const gatherEachMs = 0.4

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
  /** How long an operation that is in no hurry waits for one that is. */
  readonly patienceMs?: number
  /** The farthest apart that transactions begin where many wait at once: ten mails in one cost a third of ten alone. */
  readonly gatherMs?: number
}

export interface Batcher<Op, Result> {
  /**
   * Resolves when the transaction with this operation has committed. Throws `MailerError('store_unavailable')` with
   * reason `busy` when the line is full, or what `run` threw for the operation itself. A `patient` operation rides with
   * the next one that is not, and goes alone only when none comes.
   */
  submit(operation: Op, patient?: boolean): Promise<Result>
  /** Resolves when nothing waits or runs any more. */
  idle(): Promise<void>
}

interface Waiting<Op, Result> {
  readonly operation: Op
  readonly bytes: number
  readonly patient: boolean
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/** One transaction at a time; a lone operation waits for the end of the event loop's turn and no longer. */
export function batcher<Op, Result>(options: BatchOptions<Op, Result>): Batcher<Op, Result> {
  const { run, weigh, maxOperations = 256, maxBytes = 1 << 20 } = options
  const { maxWaiting = 10_000, maxWaitingBytes = 32 << 20 } = options
  const { patienceMs = 5, gatherMs = 4 } = options
  let waiting: Waiting<Op, Result>[] = []
  let waitingBytes = 0
  let running: Promise<void> | undefined
  let patience: NodeJS.Timeout | undefined
  let answering: Promise<unknown> = Promise.resolve()
  let begun = -Infinity
  /** Operations of the last transaction that somebody waited for. */
  let urgent = 0

  function submit(operation: Op, patient = false): Promise<Result> {
    const bytes = weigh(operation)
    if (waiting.length >= maxWaiting || waitingBytes + bytes > maxWaitingBytes)
      return Promise.reject(new MailerError('store_unavailable', { reason: 'busy' }))
    return new Promise((resolve, reject) => {
      waiting.push({ operation, bytes, patient, resolve, reject })
      waitingBytes += bytes
      if (patient && waiting.length < maxOperations) bePatient()
      else start()
    })
  }

  function start(): void {
    running ??= runAll()
  }

  function bePatient(): void {
    patience ??= setTimeout(() => {
      // also when it ends while a transaction runs, or the next ones would wait for a timer that is over
      patience = undefined
      start()
    }, patienceMs)
  }

  async function runAll(): Promise<void> {
    await new Promise(setImmediate)
    while (waiting.length > 0) {
      const restMs = begun + Math.min(urgent * gatherEachMs, gatherMs) - performance.now()
      if (urgent > 1 && restMs > 0) await pause(restMs)
      clearTimeout(patience)
      patience = undefined
      await runBatch(takeBatch())
      if (waiting.length < maxOperations && waiting.every(({ patient }) => patient)) break
    }
    running = undefined
    if (waiting.length > 0) bePatient()
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
    urgent = batch.reduce((sum, one) => sum + (one.patient ? 0 : 1), 0)
    begun = performance.now()
    return batch
  }

  async function runBatch(batch: readonly Waiting<Op, Result>[]): Promise<void> {
    try {
      const results = await run(batch.map(({ operation }) => operation))
      // resolves to nothing: a result that held the one before would keep all of them
      answering = Promise.all([answering, answerAll(batch, results)]).then(() => undefined)
    } catch (error) {
      // One of them is at fault and the transaction took all back: alone, only that one fails.
      if (!isUnavailable(error) && batch.length > 1) for (const one of batch) await runBatch([one])
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
      while (running ?? waiting.length > 0) {
        start()
        await running
      }
      await answering
    },
  }
}
