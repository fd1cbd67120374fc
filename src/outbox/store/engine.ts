/**
 * Owns the port between the outbox and its two databases. An engine runs a list of operations as one transaction;
 * the SQL is not its business (operations.ts), only how statements reach the database and what its errors mean.
 */
import type { Operation, OperationResult } from './transaction.ts'

export type SqlValue = string | number | null
export type SqlRow = Record<string, unknown>

export interface Statement {
  /** Parameters are written `$1`, `$2`, … */
  readonly sql: string
  readonly params: readonly SqlValue[]
}

/**
 * A transaction written down once for a synchronous and an asynchronous database. Each `yield` is a flight: statements
 * that do not need each other's rows, so Postgres sends them in one round trip. The answer is their rows, in order.
 */
export type Steps<T> = Generator<readonly Statement[], T, SqlRow[][]>

/** Where the two databases differ; everything else is the same SQL. */
export interface Dialect {
  /** The elements of the JSON array in `$1`, each as `value`. */
  readonly each: string
  readonly forUpdate: string
  readonly skipLocked: string
  /** Keeps other replicas from installing the schema at the same time; ends with the transaction. */
  readonly installLock: string | undefined
}

export interface Engine {
  readonly name: 'sqlite' | 'postgres'
  /** Can several transactions write side by side? */
  readonly parallel: boolean
  /**
   * Connects and installs or migrates the schema; also the way back after a failure.
   * Throws `MailerError('store_unavailable')`, with reason `schema_newer` when this program is too old.
   */
  open(): Promise<void>
  /**
   * One transaction, all or nothing, results in the order of the operations.
   * `MailerError('store_unavailable')`: the database is gone, and whether a commit got through is not known.
   * Any other error: the database is well and one of the operations is at fault.
   */
  run(operations: readonly Operation[]): Promise<OperationResult[]>
  close(): Promise<void>
}
