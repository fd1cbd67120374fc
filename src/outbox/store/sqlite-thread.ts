/**
 * Owns the SQLite file, in a worker thread of its own: a commit waits for the disk, and the event loop must not.
 * Only sqlite.ts sends it messages.
 */
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { type Detail, MailerError } from '../../errors.ts'
import { isSystemCode } from '../../message.ts'
import { cancelledAt, committingAt } from './sqlite-marks.ts'
import type { SqlRow, Statement, Steps } from './statement.ts'
import { readsOnly, type Operation, type OperationResult } from './operation.ts'
import { transact } from './transaction.ts'
import { writeProbe } from './probe.ts'
import { installNext } from './schema.ts'
import { SetupError } from './setup.ts'
import { sqliteDialect, sqliteSql } from './sql.ts'

export type Request =
  | { readonly id: number; readonly open: string; readonly again: boolean }
  | { readonly id: number; readonly run: readonly Operation[] }
  | { readonly id: number; readonly probe: true }
  | { readonly id: number; readonly close: true }

export interface Reply {
  readonly id: number
  readonly results?: readonly OperationResult[]
  readonly failure?: Failure
}

interface Failure {
  /** The database is at fault, not an operation. */
  readonly gone: boolean
  /** The commit may be in the file all the same. */
  readonly undecided?: boolean
  /** Only the operator can mend it, and the sentence says how. */
  readonly setup?: boolean
  readonly reason: Detail
  readonly sentence: string
}

/** How long to wait for a lock of another process. In short pieces, because a waiting thread delays the exit of the process. */
const lockTimeoutMs = 5000
const lockPieceMs = 250
const cacheKiB = 4 * 1024
/** Ids are random, so each mail changes pages of its own: small pages are a sixth cheaper to write. For new files only. */
const pageBytes = 1024
/** How large the write-ahead log grows before SQLite copies it into the file. */
const logBytes = 8 * 1024 * 1024

const marks = workerData instanceof Int32Array ? workerData : new Int32Array(2)
/** The request that is being answered. */
let current = 0

let database: DatabaseSync | undefined
const prepared = new Map<string, StatementSync>()

function open(path: string, again: boolean): void {
  close()
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // SQLite gives its -wal and -shm files the mode of the main file.
  closeSync(openSync(path, 'a', 0o600))
  try {
    chmodSync(path, 0o600)
  } catch {
    // A mounted folder may belong to another user. Tokens and recipients in the file are unreadable all the same.
  }
  const opened = new DatabaseSync(path, { timeout: lockPieceMs })
  database = opened
  opened.exec(`pragma page_size = ${pageBytes}`)
  retryWhileLocked(() => opened.exec('pragma journal_mode = wal'))
  // A file that existed keeps its page size.
  const page = Number(opened.prepare('pragma page_size').get()?.['page_size'])
  opened.exec(`pragma wal_autocheckpoint = ${Math.floor(logBytes / page)}`)
  opened.exec('pragma synchronous = full')
  opened.exec(`pragma cache_size = -${cacheKiB}`)
  while (!transaction(opened, 'begin immediate', installNext(sqliteDialect, { again })));
  probe()
}

function probe(): void {
  transaction(openDatabase(), 'begin immediate', writeProbe(sqliteSql, Date.now()))
}

function close(): void {
  prepared.clear()
  const closing = database
  database = undefined
  closing?.close()
}

function run(operations: readonly Operation[]): OperationResult[] {
  const begin = operations.every(readsOnly) ? 'begin' : 'begin immediate'
  return transaction(openDatabase(), begin, transact(operations, sqliteSql))
}

function openDatabase(): DatabaseSync {
  if (database === undefined) throw new MailerError('store_unavailable', { reason: 'closed' })
  return database
}

function transaction<T>(db: DatabaseSync, begin: string, steps: Steps<T>): T {
  retryWhileLocked(() => db.exec(begin))
  try {
    let step = steps.next()
    while (!step.done) step = steps.next(step.value.map((statement) => query(db, statement)))
    commit(db)
    return step.value
  } catch (error) {
    if (db.isTransaction) db.exec('rollback')
    throw error
  }
}

/** The request number may have begun anew at the other end of the numbers. */
const isCancelled = () => ((Atomics.load(marks, cancelledAt) - current) | 0) >= 0

function commit(db: DatabaseSync): void {
  Atomics.store(marks, committingAt, current)
  if (isCancelled()) throw new MailerError('store_unavailable', { reason: 'timeout' })
  try {
    db.exec('commit')
  } catch (error) {
    // What the disk has of it may come to light when the file is opened again.
    if (primaryCode(error) !== sqliteIoError) throw error
    throw new MailerError('store_unknown', { reason: `sqlite_${sqliteIoError}`, cause: error })
  }
}

function query(db: DatabaseSync, { sql, params }: Statement): SqlRow[] {
  const known = prepared.get(sql) ?? db.prepare(sql.replaceAll(/\$(\d)/g, '?$1'))
  prepared.set(sql, known)
  return known.all(...params)
}

const sqliteBusy = 5
const sqliteIoError = 10
/** `Atomics.wait` on it is the only way to sleep in a synchronous thread. */
const neverNotified = new Int32Array(new SharedArrayBuffer(4))

/** Tries again while another process holds the lock. */
function retryWhileLocked(work: () => void): void {
  for (const until = performance.now() + lockTimeoutMs; ; ) {
    try {
      return work()
    } catch (error) {
      if (primaryCode(error) !== sqliteBusy || performance.now() >= until) throw error
      // SQLite answers at once for some locks, whatever its timeout.
      Atomics.wait(neverNotified, 0, 0, 20)
    }
  }
}

/** SQLite's primary result code, when the error is SQLite's. */
function primaryCode(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : undefined
}

/** Primary result codes for bad values: too big, constraint, mismatch, range. */
const badValueCodes = new Set([18, 19, 20, 25])

function failureOf(error: unknown): Failure {
  if (error instanceof MailerError) {
    const sentence = error.cause instanceof Error ? error.cause.message : error.code
    const setup = error.cause instanceof SetupError
    const undecided = error.code === 'store_unknown'
    return { gone: true, setup, undecided, reason: error.reason ?? 'unknown', sentence }
  }
  const sentence = error instanceof Error ? error.message : 'unknown'
  const primary = primaryCode(error)
  if (primary !== undefined) {
    return { gone: !badValueCodes.has(primary), reason: `sqlite_${primary}`, sentence }
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  // Errors of the file system have a code. An error without one, or with one of Node's own, is a bug of this program.
  return {
    gone: code !== '' && !code.startsWith('ERR_'),
    reason: isSystemCode(code) ? code : 'unknown',
    sentence,
  }
}

function answer(request: Request): Reply {
  const { id } = request
  current = id
  try {
    if ('open' in request) open(request.open, request.again)
    else if ('run' in request) return { id, results: run(request.run) }
    else if ('probe' in request) probe()
    else close()
    return { id }
  } catch (error) {
    return { id, failure: failureOf(error) }
  }
}

parentPort?.on('message', (request: Request) => parentPort?.postMessage(answer(request), []))
