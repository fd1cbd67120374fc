/**
 * Owns the engine for Postgres: a small pool, TLS as the address asks for it, timeouts, and the meaning of errors. Works
 * behind PgBouncer in transaction mode as well: no named statements, no session state.
 */
import { DatabaseError, Pool, type PoolClient, type PoolConfig, type QueryConfig, types } from 'pg'
import { MailerError } from '../../errors.ts'
import { isSystemCode } from '../../message.ts'
import type { SqlRow, SqlValue, Steps } from './statement.ts'
import type { Engine } from './engine.ts'
import { transact } from './transaction.ts'
import { installSchema } from './schema.ts'
import { postgresDialect, postgresSql } from './sql.ts'

const connectTimeoutMs = 2000
const answerTimeoutMs = 5000
/** Another replica may be migrating a large table. */
const installTimeoutMs = 60_000
const maxAttempts = 3
const int8 = 20

/**
 * A replica that freezes inside a transaction must not hold its locks for long. And the planner expects a hundred mails
 * in every list, for which it prefers reading a table of twenty thousand rows to using the index.
 */
const beginWithin = (timeoutMs: number) =>
  [
    'begin',
    `set local statement_timeout = ${timeoutMs - 1000}`,
    `set local idle_in_transaction_session_timeout = ${timeoutMs - 1000}`,
    'set local enable_seqscan = off',
  ].join(';')

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
  const pool = new Pool({
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
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))

  async function transaction<T>(makeSteps: () => Steps<T>, timeoutMs: number): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const progress: Progress = { at: 'connecting' }
      try {
        return await once(pool, makeSteps(), timeoutMs, progress)
      } catch (error) {
        if (attempt < maxAttempts && canRepeat(error, progress)) continue
        throw isBadValue(error) ? error : unavailable(error)
      }
    }
  }

  return {
    name: 'postgres',
    parallel: true,
    open: () => transaction(() => installSchema(postgresDialect), installTimeoutMs),
    run: (operations) => transaction(() => transact(operations, postgresSql), answerMs),
    close: () => pool.end(),
  }
}

interface Progress {
  at: 'connecting' | 'working' | 'committing'
}

async function once<T>(pool: Pool, steps: Steps<T>, timeoutMs: number, progress: Progress): Promise<T> {
  const client = await pool.connect()
  // One deadline for all round trips: several slow ones must not take five seconds each.
  const deadline = performance.now() + timeoutMs
  const ask = (sql: string, params: readonly SqlValue[] = []) =>
    client.query<SqlRow>(timed(sql, params, Math.max(1, deadline - performance.now())))
  progress.at = 'working'
  let usable = false
  try {
    // `begin` is sent with the first statements, which saves a round trip.
    let step = steps.next()
    let sent: Promise<unknown>[] = [ask(beginWithin(timeoutMs))]
    while (!step.done) {
      const rows = step.value.map(({ sql, params }) => ask(sql, params))
      await allOf([...sent, ...rows])
      sent = []
      step = steps.next((await Promise.all(rows)).map((result) => result.rows))
    }
    await allOf(sent)
    progress.at = 'committing'
    await ask('commit')
    usable = true
    return step.value
  } catch (error) {
    usable = stateOf(error) !== '' && (await rolledBack(client, Math.max(500, deadline - performance.now())))
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

const stateOf = (error: unknown) => (error instanceof DatabaseError ? (error.code ?? '') : '')

/** SQLSTATE classes: 22 data, 23 constraint, 40 lost against another transaction, 54 limits of the server. */
const isBadValue = (error: unknown) => /^(22|23|40|54)/.test(stateOf(error))

/**
 * True when nothing can have been committed and a second try may succeed: Postgres broke a deadlock by failing this
 * transaction (class 40), or the connection had died in the pool. After a timeout the caller has waited long enough.
 */
function canRepeat(error: unknown, { at }: Progress): boolean {
  const lost = /^(57P0[123]|08...)?$/.test(stateOf(error)) && !String(error).includes('timeout')
  return at === 'working' && !(error instanceof MailerError) && (lost || stateOf(error).startsWith('40'))
}

function unavailable(cause: unknown): MailerError {
  if (cause instanceof MailerError) return cause
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return new MailerError('store_unavailable', {
    reason: isSystemCode(code) ? code : 'unreachable',
    cause,
  })
}

/**
 * Three of libpq's modes are distinguished: `disable` (also `allow`); `require` (also `prefer`), which encrypts without
 * verifying the certificate; `verify-full` (also `verify-ca`), which verifies it. Without `sslmode`: TLS on Heroku only.
 */
export function addressAndTls(
  address: string,
  onHeroku: boolean,
): Pick<PoolConfig, 'connectionString' | 'ssl'> {
  const url = new URL(address)
  const mode = url.searchParams.get('sslmode') ?? (onHeroku ? 'require' : 'disable')
  url.searchParams.delete('sslmode')
  const off = mode === 'disable' || mode === 'allow'
  return { connectionString: url.href, ssl: off ? false : { rejectUnauthorized: mode.startsWith('verify') } }
}
