/** Owns the engine for SQLite: starts the thread that has the file open, sends it one message a batch, replaces it when it dies. */
import { getCompileCacheDir } from 'node:module'
import { dirname, extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { MailerError } from '../../errors.ts'
import { within } from '../../timers.ts'
import type { Engine } from './engine.ts'
import { type Operation, type OperationResult, readsOnly } from './operation.ts'
import { SetupError } from './setup.ts'
import type { Reply, Request } from './sqlite-thread.ts'
import { cancelledAt, committingAt } from './sqlite-marks.ts'

/** Has the extension of this file: `.ts`, or `.js` once compiled. */
const threadFile = new URL(`./sqlite-thread${extname(import.meta.url)}`, import.meta.url)
/**
 * A thread does not inherit the compile cache of its process, whose folder is the one above the folder that Node names.
 * Without the cache it loads Node's TypeScript compiler: 20 MB.
 */
const cacheFolder = dirname(getCompileCacheDir() ?? '')
const enableCache =
  cacheFolder === '.' ? '' : `require('node:module').enableCompileCache(${JSON.stringify(cacheFolder)}); `
const threadStart = `${enableCache}import(${JSON.stringify(threadFile)})`

/** Longer than the thread waits for a lock. Two of them, one that runs and one that waits, and a relay fit into 25 s. */
const answerTimeoutMs = 7000

interface PendingRequest {
  readonly resolve: (results: readonly OperationResult[]) => void
  readonly reject: (error: unknown) => void
}

export interface SqliteOptions {
  /** The database file; its folder is made when it is absent. */
  readonly path: string
  /** How long a transaction may take: a disk that hangs must not keep the caller waiting. */
  readonly answerMs?: number
}

export function sqliteEngine({ path, answerMs = answerTimeoutMs }: SqliteOptions): Engine {
  const pending = new Map<number, PendingRequest>()
  const marks = new Int32Array(new SharedArrayBuffer(8))
  let worker: Worker | undefined
  let lastId = 0

  function startWorker(): Worker {
    const started = new Worker(threadStart, {
      eval: true,
      workerData: marks,
      resourceLimits: { maxYoungGenerationSizeMb: 2 },
      execArgv: [],
    })
    started.on('message', receive)
    started.on('error', (error) => fail(started, error))
    started.on('exit', () => fail(started, undefined))
    return started
  }

  function receive({ id, results = [], failure }: Reply): void {
    const request = pending.get(id)
    pending.delete(id)
    if (pending.size === 0) worker?.unref()
    if (failure === undefined) return request?.resolve(results)
    const { gone, undecided, reason, setup, sentence } = failure
    const cause = new (setup ? SetupError : Error)(sentence)
    const code = undecided ? 'store_unknown' : 'store_unavailable'
    request?.reject(gone ? new MailerError(code, { reason, cause }) : cause)
  }

  function fail(lost: Worker, cause: unknown): void {
    if (worker !== lost) return
    worker = undefined
    for (const { reject } of pending.values())
      reject(new MailerError('store_unavailable', { reason: 'thread', cause }))
    pending.clear()
  }

  function ask(request: (id: number) => Request): Promise<readonly OperationResult[]> {
    const thread = (worker ??= startWorker())
    const id = (lastId = (lastId + 1) | 0)
    return new Promise((resolve, reject) => {
      pending.set(id, { resolve, reject })
      // The thread keeps the process alive only while a request is pending.
      thread.ref()
      thread.postMessage(request(id), [])
    })
  }

  async function askInTime(request: (id: number) => Request): Promise<readonly OperationResult[]> {
    const answer = ask(request)
    const id = lastId
    const results = await within(answerMs, answer)
    if (results !== undefined) return results
    Atomics.store(marks, cancelledAt, id)
    const undecided = Atomics.load(marks, committingAt) === id
    throw new MailerError(undecided ? 'store_unknown' : 'store_unavailable', { reason: 'timeout' })
  }

  async function run(operations: readonly Operation[]): Promise<OperationResult[]> {
    try {
      return [...(await askInTime((id) => ({ id, run: operations })))]
    } catch (error) {
      const isLost =
        error instanceof MailerError && (error.code === 'store_unknown' || error.reason === 'thread')
      if (!isLost) throw error
      const code = operations.every(readsOnly) ? 'store_unavailable' : 'store_unknown'
      throw new MailerError(code, { ...(error.reason && { reason: error.reason }), cause: error.cause })
    }
  }

  return {
    name: 'sqlite',
    parallel: false,
    async open(again = false) {
      await ask((id) => ({ id, open: path, again }))
    },
    async probe() {
      await askInTime((id) => ({ id, probe: true }))
    },
    run,
    async close() {
      const closing = worker
      if (closing === undefined) return
      await ask((id) => ({ id, close: true })).catch(() => undefined)
      worker = undefined
      await closing.terminate()
    },
  }
}
