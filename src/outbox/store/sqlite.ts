/** Owns the way to SQLite: starts the thread that holds the file, hands it one message per batch, replaces it when it dies. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { MailerError } from '../../errors.ts'
import { within } from '../../timers.ts'
import type { Engine } from './engine.ts'
import type { Operation, OperationResult } from './operation.ts'
import type { Reply, Request } from './sqlite-thread.ts'

/** Compiled, the thread lies beside this file as `.js`. */
const threadFile = new URL(`./sqlite-thread${extname(import.meta.url)}`, import.meta.url)
/** A thread does not know that the process keeps compiled code. Without it it loads the compiler of TypeScript: 20 MB. */
const threadStart = `require('node:module').enableCompileCache(); import(${JSON.stringify(threadFile)})`

/** More than the thread waits for a lock, and so little that the wait for one that runs, this one and a relay fit into 25 s. */
const answerTimeoutMs = 7000

interface Asked {
  readonly resolve: (results: readonly OperationResult[]) => void
  readonly reject: (error: unknown) => void
}

export interface SqliteOptions {
  /** The database file; its folder is made when it is absent. */
  readonly path: string
  /** How long a transaction may take: a disk that hangs may not keep the caller waiting. */
  readonly answerMs?: number
}

export function sqliteEngine({ path, answerMs = answerTimeoutMs }: SqliteOptions): Engine {
  const asked = new Map<number, Asked>()
  let worker: Worker | undefined
  let lastId = 0

  function startWorker(): Worker {
    const started = new Worker(threadStart, {
      eval: true,
      resourceLimits: { maxYoungGenerationSizeMb: 2 },
      execArgv: [],
    })
    started.on('message', take)
    started.on('error', (error) => lose(started, error))
    started.on('exit', () => lose(started, undefined))
    return started
  }

  function take({ id, results = [], failure }: Reply): void {
    const waiting = asked.get(id)
    asked.delete(id)
    if (asked.size === 0) worker?.unref()
    if (failure === undefined) return waiting?.resolve(results)
    const cause = new Error(failure.sentence)
    waiting?.reject(
      failure.gone ? new MailerError('store_unavailable', { reason: failure.reason, cause }) : cause,
    )
  }

  function lose(lost: Worker, cause: unknown): void {
    if (worker !== lost) return
    worker = undefined
    for (const { reject } of asked.values())
      reject(new MailerError('store_unavailable', { reason: 'thread', cause }))
    asked.clear()
  }

  function ask(request: (id: number) => Request): Promise<readonly OperationResult[]> {
    const thread = (worker ??= startWorker())
    const id = (lastId += 1)
    return new Promise((resolve, reject) => {
      asked.set(id, { resolve, reject })
      // The thread keeps the process alive only while it owes an answer.
      thread.ref()
      thread.postMessage(request(id), [])
    })
  }

  async function run(operations: readonly Operation[]): Promise<OperationResult[]> {
    const results = await within(
      answerMs,
      ask((id) => ({ id, run: operations })),
    )
    // it may still be carried out, as after a commit whose answer was lost; and before anything that is asked later
    if (results === undefined) throw new MailerError('store_unavailable', { reason: 'timeout' })
    return [...results]
  }

  return {
    name: 'sqlite',
    parallel: false,
    async open() {
      await ask((id) => ({ id, open: path }))
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
