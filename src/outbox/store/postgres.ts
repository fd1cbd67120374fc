/**
 * Owns the engine for Postgres: a small pool, transactions, their timeouts and their repetitions. Works
 * behind PgBouncer in transaction mode as well: no named statements, no session state.
 */
import { Pool, type PoolClient, type QueryConfig, types } from 'pg'
import { MailerError } from '../../errors.ts'
import { pause } from '../../timers.ts'
import type { SqlRow, SqlValue, Steps } from './statement.ts'
import type { Engine } from './engine.ts'
import { transact } from './transaction.ts'
import { installNext, isInstalled } from './schema.ts'
import { readsOnly } from './operation.ts'
import { isRefusalOfRights, refusalQuery, setupError } from './rights.ts'
import { writeProbe } from './probe.ts'
import { addressAndTls } from './postgres-address.ts'
import { failureOf, hasLost, isBadValue, isUndecided, type Progress, wasCutOff } from './postgres-errors.ts'
import { postgresDialect, postgresSql } from './sql.ts'

const connectTimeoutMs = 2000
const answerTimeoutMs = 5000
/** Of one step of a migration, which may have to read a large table, and of the wait for another replica's. */
const installTimeoutMs = 10 * 60_000
/** Between two statements of a transaction. */
const idleTimeoutMs = 4000
/** Of a transaction that lost against another one. Between two tries it waits up to so long. */
const maxTries = 10
const lostPauseMs = 50
const int8 = 20

/**
 * Nothing is left to the defaults of the server, the database or the role. Read committed, because stricter levels fail
 * whole batches; a commit waits for the disk, or error 0 would be no promise; other limits of time would end a
 * transaction before ours. A replica that freezes inside a transaction must not hold its locks for long. And the planner
 * expects a hundred mails in every list, for which it prefers reading a table of twenty thousand rows to using the index;
 * of a backlog it expects few, and would rather read and sort it all for each lease than walk along its index.
 *
 * Read-only is the exception: a default that forbids writes marks a server that was replaced or has no room left.
 */
const beginWithin = (timeoutMs: number) =>
  [
    'begin isolation level read committed',
    `set local statement_timeout = ${serverTimeout(timeoutMs)}`,
    'set local lock_timeout = 0',
    `set local idle_in_transaction_session_timeout = ${Math.min(idleTimeoutMs, serverTimeout(timeoutMs))}`,
    'set local synchronous_commit = on',
    'set local enable_seqscan = off',
    'set local enable_bitmapscan = off',
  ].join(';')

/** Before ours, so that the server says what it was that took so long. */
const serverTimeout = (timeoutMs: number) => Math.max(500, Math.ceil(timeoutMs) - 1000)

/** A commit that waits for a standby would be cut short by the timeout, and succeed without that standby. */
const commit = 'set local statement_timeout = 0;commit'

/** Of the transactions of other roles only a member of `pg_read_all_stats` is told when they began. */
const upkeepSql = `select
  (select sum(n_dead_tup) from pg_stat_user_tables
    where relid in (to_regclass('outbox_mail'), to_regclass('outbox_quota'))) as dead,
  (select extract(epoch from clock_timestamp() - min(xact_start)) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()) as oldest`

export interface PostgresOptions {
  readonly url: string
  /** Heroku Postgres requires TLS and has a self-signed certificate. */
  readonly onHeroku?: boolean
  readonly maxConnections?: number
  /** How long a transaction may take, all its round trips together. */
  readonly answerMs?: number
}

export function postgresEngine({
  url,
  onHeroku = false,
  maxConnections = 3,
  answerMs = answerTimeoutMs,
}: PostgresOptions): Engine {
  let pool = newPool()

  function newPool(): Pool {
    const made = new Pool({
      ...addressAndTls(url, onHeroku),
      max: maxConnections,
      pipeline: true,
      keepAlive: true,
      application_name: 'jwt-mailer',
      connectionTimeoutMillis: connectTimeoutMs,
      idleTimeoutMillis: 60_000,
      allowExitOnIdle: true,
      types: { getTypeParser: (oid: number) => (oid === int8 ? Number : types.getTypeParser(oid, 'text')) },
    })
    // The pool replaces a connection that dies. Without listeners its error would end the process.
    made.on('error', () => undefined)
    made.on('connect', (client) => client.on('error', () => undefined))
    return made
  }

  /**
   * The server itself is in doubt: another one may stand behind its address by now. What runs on the former connections
   * may end there; nothing new begins on them.
   */
  function replacePool(): void {
    const former = pool
    pool = newPool()
    former.end().catch(() => undefined)
  }

  async function transaction<T>(makeSteps: () => Steps<T>, timeoutMs: number, changes = false): Promise<T> {
    const deadline = performance.now() + connectTimeoutMs + timeoutMs
    const within = () => Math.min(timeoutMs, deadline - performance.now())
    for (let tried = 1; ; tried += 1) {
      const progress: Progress = { at: 'connecting' }
      try {
        return await once(pool, makeSteps(), Math.max(1, within()), progress)
      } catch (error) {
        const repeats = hasLost(error) ? maxTries : wasCutOff(error, progress) ? maxConnections + 1 : 0
        if (tried >= repeats || within() <= 0) throw failureOf(error, changes && isUndecided(error, progress))
        if (hasLost(error)) await pause(Math.random() * lostPauseMs)
      }
    }
  }

  async function probe(): Promise<void> {
    try {
      await transaction(() => writeProbe(postgresSql, Date.now()), answerMs)
    } catch (error) {
      throw await withStatement(error, pool)
    }
  }

  return {
    name: 'postgres',
    parallel: true,
    async open(again = false) {
      replacePool()
      try {
        let installed = await transaction(() => isInstalled(postgresDialect, { again }), answerMs)
        while (!installed)
          installed = await transaction(() => installNext(postgresDialect, { again }), installTimeoutMs)
      } catch (error) {
        throw await withStatement(error, pool)
      }
      await probe()
    },
    probe,
    async clockMs() {
      const sql = `select cast(extract(epoch from clock_timestamp()) * 1000 as bigint) as now`
      const { rows } = await pool.query<SqlRow>(timed(sql, [], connectTimeoutMs))
      return Number(rows[0]?.['now'])
    },
    async upkeep() {
      const { rows } = await pool.query<SqlRow>(timed(upkeepSql, [], connectTimeoutMs))
      return {
        deadRows: Number(rows[0]?.['dead'] ?? 0),
        oldestTransactionS: Number(rows[0]?.['oldest'] ?? 0),
      }
    },
    run: (operations) =>
      transaction(() => transact(operations, postgresSql), answerMs, !operations.every(readsOnly)),
    close: () => pool.end(),
  }
}

async function once<T>(pool: Pool, steps: Steps<T>, timeoutMs: number, progress: Progress): Promise<T> {
  const client = await pool.connect()
  // One deadline for all round trips: several slow ones must not take five seconds each.
  const deadline = performance.now() + timeoutMs
  const leftMs = () => Math.max(1, deadline - performance.now())
  const ask = (sql: string, params: readonly SqlValue[] = [], withinMs = leftMs()) =>
    client.query<SqlRow>(timed(sql, params, withinMs))
  progress.at = 'working'
  let usable = false
  try {
    // `begin` is sent with the first statements, which saves a round trip.
    let step = steps.next()
    // The same time for all of a round trip: the first one is late first, or it would seem to be cut off by another.
    let roundMs = leftMs()
    let sent: Promise<unknown>[] = [ask(beginWithin(timeoutMs), [], roundMs)]
    while (!step.done) {
      const rows = step.value.map(({ sql, params }) => ask(sql, params, roundMs))
      await allOf([...sent, ...rows])
      sent = []
      step = steps.next((await Promise.all(rows)).map((result) => result.rows))
      roundMs = leftMs()
    }
    await allOf(sent)
    progress.at = 'committing'
    await ask(commit)
    usable = true
    return step.value
  } catch (error) {
    // Only after an error that speaks of the statement alone is the connection beyond doubt.
    const statementFailed = isBadValue(error) || hasLost(error)
    usable = statementFailed && (await rolledBack(client, Math.max(500, deadline - performance.now())))
    throw error
  } finally {
    client.release(!usable)
  }
}

/** pg gives up a query after `query_timeout` and closes the connection. Its types declare that option for a whole pool only. */
function timed(
  text: string,
  params: readonly SqlValue[],
  timeoutMs: number,
): QueryConfig & { query_timeout: number } {
  return { text, values: [...params], query_timeout: timeoutMs }
}

/** Waits for all, so that no query is left running and no rejection unhandled, then throws the first failure. */
async function allOf(queries: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(queries)).find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

const rolledBack = (client: PoolClient, timeoutMs: number) =>
  client.query(timed('rollback', [], timeoutMs)).then(
    () => true,
    () => false,
  )

/** A refusal of rights becomes a `SetupError` with the statement that grants them. */
async function withStatement(failure: unknown, pool: Pool): Promise<unknown> {
  if (!(failure instanceof MailerError) || !isRefusalOfRights(failure.reason)) return failure
  const answer = pool.query<SqlRow>(timed(refusalQuery, [], connectTimeoutMs)).catch(() => undefined)
  const cause = setupError((await answer)?.rows[0])
  return new MailerError('store_unavailable', { ...(failure.reason && { reason: failure.reason }), cause })
}
