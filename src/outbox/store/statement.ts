/** Owns what a transaction is made of, for a synchronous and an asynchronous database alike. */

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
