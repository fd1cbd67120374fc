/** Owns the engine for SQLite: starts the thread that has the file open, sends it one message a batch, replaces it when it dies. */
import { getCompileCacheDir } from 'node:module'
import { dirname, extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { MailerError } from '../../errors.ts'
import { within } from '../../timers.ts'
import type { Engine } from './engine.ts'
import type { OperationResult } from './operation.ts'
import { SetupError } from './setup.ts'
import type { Reply, Request } from './sqlite-thread.ts'

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
  let worker: Worker | undefined
  let lastId = 0

  function startWorker(): Worker {
    const started = new Worker(threadStart, {
      eval: true,
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
    const cause = new (failure.setup ? SetupError : Error)(failure.sentence)
    request?.reject(
      failure.gone ? new MailerError('store_unavailable', { reason: failure.reason, cause }) : cause,
    )
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
    const id = (lastId += 1)
    return new Promise((resolve, reject) => {
      pending.set(id, { resolve, reject })
      // The thread keeps the process alive only while a request is pending.
      thread.ref()
      thread.postMessage(request(id), [])
    })
  }

  async function askInTime(request: (id: number) => Request): Promise<readonly OperationResult[]> {
    const results = await within(answerMs, ask(request))
    // The thread may still carry it out, as after a commit whose answer was lost, but before any later request.
    if (results === undefined) throw new MailerError('store_unavailable', { reason: 'timeout' })
    return results
  }

  return {
    name: 'sqlite',
    parallel: false,
    async open() {
      await ask((id) => ({ id, open: path }))
    },
    async probe() {
      await askInTime((id) => ({ id, probe: true }))
    },
    async run(operations) {
      return [...(await askInTime((id) => ({ id, run: operations })))]
    },
    async close() {
      const closing = worker
      if (closing === undefined) return
      await ask((id) => ({ id, close: true })).catch(() => undefined)
      worker = undefined
      await closing.terminate()
    },
  }
}
