/**
 * Owns what the outbox needs from a database. An engine runs a list of operations as one transaction: it knows how
 * statements reach the database and what errors mean, and takes the statements themselves from transaction.ts.
 */
import type { Operation, OperationResult } from './operation.ts'

export interface Engine {
  readonly name: 'sqlite' | 'postgres'
  /** Can several transactions write side by side? */
  readonly parallel: boolean
  /**
   * Connects, and installs or migrates the schema. Called again after each failure.
   * Throws `MailerError('store_unavailable')`, with reason `schema_newer` when this program is too old.
   */
  open(): Promise<void>
  /**
   * One transaction, all or nothing, results in the order of the operations.
   * Throws `MailerError('store_unavailable')` when the database is at fault: a commit may have succeeded all the same.
   * Throws any other error when one of the operations is at fault.
   */
  run(operations: readonly Operation[]): Promise<OperationResult[]>
  close(): Promise<void>
}
