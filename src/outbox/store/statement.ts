/** Owns what a transaction is made of: statements, rows, and the steps between them. */

export type SqlValue = string | number | null

export type SqlRow = Record<string, unknown>

export interface Statement {
  /** Parameters are written `$1`, `$2`, … */
  readonly sql: string
  readonly params: readonly SqlValue[]
}

/**
 * A transaction, written once for a synchronous and an asynchronous database. Each `yield` is a round trip: statements
 * that do not need each other's rows, so that Postgres gets them at once. Their rows come back in the same order.
 */
export type Steps<T> = Generator<readonly Statement[], T, SqlRow[][]>

/** The words in which the SQL of the two databases differs. */
export interface Dialect {
  readonly name: 'sqlite' | 'postgres'
  /** The elements of the JSON array in `$1`, each as `value`. */
  readonly each: string
  readonly forUpdate: string
  readonly skipLocked: string
  /** Is there a table `outbox_schema`? Asked first: creating a table needs rights even `if not exists`. */
  readonly hasSchema: string
  /** Keep other replicas from installing the schema at the same time. Released at the end of the transaction. */
  readonly installLocks: readonly string[]
}
