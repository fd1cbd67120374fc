/**
 * Owns the SQLite file, in a worker thread of its own: a commit waits for the disk, and the event loop must not.
 * Speaks with sqlite.ts only.
 */
import { isSystemCode } from '../../message.ts'
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort } from 'node:worker_threads'
import { type Detail, MailerError } from '../../errors.ts'
import type { SqlRow, Statement, Steps } from './statement.ts'
import { readsOnly, type Operation, type OperationResult } from './operation.ts'
import { transact } from './transaction.ts'
import { installSchema } from './schema.ts'
import { sqliteDialect } from './sql.ts'

export type Request =
  | { readonly id: number; readonly open: string }
  | { readonly id: number; readonly run: readonly Operation[] }
  | { readonly id: number; readonly close: true }

export interface Reply {
  readonly id: number
  readonly results?: readonly OperationResult[]
  readonly failure?: Failure
}

interface Failure {
  /** The database is at fault, not an operation. */
  readonly gone: boolean
  readonly reason: Detail
  readonly sentence: string
}

/** How long a lock of another process is waited for; in short pieces, or a thread that waits would hold up the end of ours. */
const lockTimeoutMs = 5000
const lockPieceMs = 250
const cacheKiB = 4 * 1024
/** Ids are random, so every mail touches pages of its own: small ones are a sixth cheaper to write. Of new files only. */
const pageBytes = 1024
/** How far the log of changes grows before it is put into the file. */
const logBytes = 8 * 1024 * 1024

let database: DatabaseSync | undefined
const prepared = new Map<string, StatementSync>()

function open(path: string): void {
  close()
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // SQLite gives its -wal and -shm files the mode of the main file.
  closeSync(openSync(path, 'a', 0o600))
  try {
    chmodSync(path, 0o600)
  } catch {
    // A mounted folder may belong to another user. What the file holds is sealed all the same.
  }
  const opened = new DatabaseSync(path, { timeout: lockPieceMs })
  database = opened
  opened.exec(`pragma page_size = ${pageBytes}`)
  patiently(() => opened.exec('pragma journal_mode = wal'))
  // an older file keeps the pages it has
  const page = Number(opened.prepare('pragma page_size').get()?.['page_size'])
  opened.exec(`pragma wal_autocheckpoint = ${Math.floor(logBytes / page)}`)
  opened.exec('pragma synchronous = full')
  opened.exec(`pragma cache_size = -${cacheKiB}`)
  transaction(opened, 'begin immediate', installSchema(sqliteDialect))
}

function close(): void {
  prepared.clear()
  const closing = database
  database = undefined
  closing?.close()
}

function run(operations: readonly Operation[]): OperationResult[] {
  if (database === undefined) throw new MailerError('store_unavailable', { reason: 'closed' })
  const begin = operations.every(readsOnly) ? 'begin' : 'begin immediate'
  return transaction(database, begin, transact(operations, sqliteDialect))
}

function transaction<T>(db: DatabaseSync, begin: string, steps: Steps<T>): T {
  patiently(() => db.exec(begin))
  try {
    let step = steps.next()
    while (!step.done) step = steps.next(step.value.map((statement) => query(db, statement)))
    db.exec('commit')
    return step.value
  } catch (error) {
    if (db.isTransaction) db.exec('rollback')
    throw error
  }
}

function query(db: DatabaseSync, { sql, params }: Statement): SqlRow[] {
  const known = prepared.get(sql) ?? db.prepare(sql.replaceAll(/\$(\d)/g, '?$1'))
  prepared.set(sql, known)
  return known.all(...params)
}

const sqliteBusy = 5
/** To sleep on: nobody ever rings. */
const bell = new Int32Array(new SharedArrayBuffer(4))

/** Tries again while another process holds the lock. */
function patiently(work: () => void): void {
  for (const until = performance.now() + lockTimeoutMs; ; ) {
    try {
      return work()
    } catch (error) {
      if (primaryCode(error) !== sqliteBusy || performance.now() >= until) throw error
      // some locks SQLite does not wait for at all
      Atomics.wait(bell, 0, 0, 20)
    }
  }
}

/** SQLite's own word for what went wrong, when it was SQLite. */
function primaryCode(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : undefined
}

/** Primary result codes that blame the values: too big, constraint, mismatch, range. */
const operationsFaults = new Set([18, 19, 20, 25])

function failureOf(error: unknown): Failure {
  if (error instanceof MailerError) {
    const sentence = error.cause instanceof Error ? error.cause.message : error.code
    return { gone: true, reason: error.reason ?? 'unknown', sentence }
  }
  const sentence = error instanceof Error ? error.message : 'unknown'
  const primary = primaryCode(error)
  if (primary !== undefined) {
    return { gone: !operationsFaults.has(primary), reason: `sqlite_${primary}`, sentence }
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  // Errors of the file system have a code; what has none, or one of Node's own, is a mistake of ours.
  return {
    gone: code !== '' && !code.startsWith('ERR_'),
    reason: isSystemCode(code) ? code : 'unknown',
    sentence,
  }
}

function answer(request: Request): Reply {
  const { id } = request
  try {
    if ('open' in request) open(request.open)
    else if ('run' in request) return { id, results: run(request.run) }
    else close()
    return { id }
  } catch (error) {
    return { id, failure: failureOf(error) }
  }
}

parentPort?.on('message', (request: Request) => parentPort?.postMessage(answer(request), []))
