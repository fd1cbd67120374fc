/**
 * Owns what the outbox needs from a database. An engine runs a list of operations as one transaction: it knows how
 * statements reach the database and what errors mean, and takes the statements themselves from transaction.ts.
 */
import type { Operation, OperationResult } from './operation.ts'

export interface Upkeep {
  /** Former versions of rows that still take room. */
  readonly deadRows: number
  /** Vacuum removes nothing that became dead after this transaction began; 0 when there is none. */
  readonly oldestTransactionS: number
}

export interface Engine {
  readonly name: 'sqlite' | 'postgres'
  /** Can several transactions write side by side? */
  readonly parallel: boolean
  /**
   * Connects anew, installs or migrates the schema, and probes. Called again after each failure, with `again` once it has
   * succeeded: then a schema of a newer program is no reason to refuse.
   * Throws `MailerError('store_unavailable')`, with a `SetupError` as its cause when only the operator can mend it.
   */
  open(again?: boolean): Promise<void>
  /** The database's time, epoch ms, where it may have another clock than this process. */
  clockMs?(): Promise<number>
  /** What its vacuum has to do, where it has one. */
  upkeep?(): Promise<Upkeep>
  /** Writes and commits as a mail does. Throws as `run` does. */
  probe(): Promise<void>
  /**
   * One transaction, all or nothing, results in the order of the operations.
   * Throws `MailerError('store_unavailable')` when the database is at fault and has provably changed nothing, and
   * `MailerError('store_unknown')` when the answer to a commit was lost.
   * Throws any other error when one of the operations is at fault.
   */
  run(operations: readonly Operation[]): Promise<OperationResult[]>
  close(): Promise<void>
}
