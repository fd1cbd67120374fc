/**
 * Owns the port between the outbox and its two databases. An engine runs a list of operations as one transaction;
 * the SQL is not its business (operations.ts), only how statements reach the database and what its errors mean.
 */
import type { Operation, OperationResult } from './operation.ts'

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
