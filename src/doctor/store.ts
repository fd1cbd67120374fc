/**
 * Owns the examination of the outbox's store. Where the outbox has been installed, it writes and commits as a mail does,
 * and leaves nothing behind. It installs nothing: the service does so itself, and a file that another user makes here
 * would lock the service out.
 */
import { access, constants, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import { MailerError } from '../errors.ts'
import { postgresEngine } from '../outbox/store/postgres.ts'
import { addressAndTls } from '../outbox/store/postgres-address.ts'
import { writeProbe } from '../outbox/store/probe.ts'
import { schemaVersion } from '../outbox/store/schema.ts'
import { refusalQuery, setupError } from '../outbox/store/rights.ts'
import { SetupError } from '../outbox/store/setup.ts'
import { sqliteSql } from '../outbox/store/sql.ts'
import type { Statement } from '../outbox/store/statement.ts'
import { outboxFile, type StorePlace } from '../outbox/store/choose-engine.ts'
import type { ClockSource } from './clock.ts'
import { about, codeOf, type Finding } from './finding.ts'

const { ok, warn, bad } = about('store')
const askMs = 5000
const versionSql = 'select version from outbox_schema'
const mayCreate = `select has_schema_privilege(current_schema(), 'create') as may`
const statesSql = 'select state, count(*) as n from outbox_mail group by state'

export function examineStore(place: StorePlace, signal: AbortSignal): Promise<Finding[]> {
  if (place.databaseUrl === undefined) return examineFile(outboxFile(place))
  return examinePostgres(place.databaseUrl, place.heroku, signal)
}

interface StoreContents {
  /** `undefined`: the outbox has not been installed. */
  readonly version: number | undefined
  readonly states: ReadonlyMap<string, number>
}

function judgeContents(where: string, { version, states }: StoreContents): Finding[] {
  const known = `this program knows ${schemaVersion}`
  if (version === undefined) return [ok(`${where} is reachable; the service sets it up when it starts`)]
  if (version > schemaVersion)
    return [
      bad(
        `${where} was set up by a newer jwt-mailer (schema ${version}; ${known})`,
        'Deploy that version again, or give this one a store of its own.',
      ),
    ]
  const migrated = ok(`${where} is reachable and migrated (schema ${version})`)
  const behind = warn(
    `${where} has schema ${version}; ${known}`,
    'The service migrates it when it starts: restart it.',
  )
  return [version < schemaVersion ? behind : migrated, ...judgeMails(states)]
}

function* judgeMails(states: ReadonlyMap<string, number>): Generator<Finding> {
  const waiting = (states.get('queued') ?? 0) + (states.get('sending') ?? 0)
  const dead = states.get('dead') ?? 0
  if (waiting > 0) yield ok(`mails that wait: ${waiting}`)
  if (dead > 0)
    yield warn(
      `mails given up in the last days: ${dead}`,
      'See why with jwt-mailer outbox list, and once the cause is mended put them back: jwt-mailer outbox requeue --all-dead',
    )
}

async function examineFile(path: string): Promise<Finding[]> {
  const exists = await succeeds(stat(path))
  const needed = exists ? path : await nearestExistingFolder(path)
  if (!(await succeeds(access(needed, constants.W_OK))))
    return [
      bad(`${needed} is not writable for this user`, 'Let the user that runs the service own DATA_DIR.'),
    ]
  if (!exists) return [ok(`${path} is made when the service starts`)]
  try {
    const contents = readFile(path)
    if (contents.version === schemaVersion) probeFile(path)
    return judgeContents(path, contents)
  } catch (error) {
    if (sqliteReason(error) === 'SQLite error 5')
      return [warn(`${path} is locked by another program`, 'No mail can be stored until it lets go.')]
    const todo =
      'Is it an outbox? Move it away and the service makes a new one; the mails in it are lost then.'
    return [bad(`${path} cannot be read (${sqliteReason(error)})`, todo)]
  }
}

const succeeds = (promise: Promise<unknown>) =>
  promise.then(
    () => true,
    () => false,
  )

async function nearestExistingFolder(path: string): Promise<string> {
  const folder = dirname(path)
  const exists = await stat(folder).catch(() => undefined)
  return exists || folder === dirname(folder) ? folder : nearestExistingFolder(folder)
}

function readFile(path: string): StoreContents {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 1000 })
  try {
    const installed = database.prepare(`select 1 from sqlite_master where name = 'outbox_schema'`).get()
    if (!installed) return { version: undefined, states: new Map() }
    const version = Number(database.prepare(versionSql).get()?.['version'] ?? 0)
    return { version, states: statesIn(database.prepare(statesSql).all()) }
  } finally {
    database.close()
  }
}

function probeFile(path: string): void {
  const database = new DatabaseSync(path, { timeout: 1000 })
  try {
    database.exec('begin immediate')
    const steps = writeProbe(sqliteSql, Date.now())
    const carryOut = ({ sql, params }: Statement) =>
      database.prepare(sql.replaceAll(/\$(\d)/g, '?$1')).all(...params)
    for (let step = steps.next(); step.done !== true; ) step = steps.next(step.value.map(carryOut))
    database.exec('commit')
  } finally {
    database.close()
  }
}

const sqliteReason = (error: unknown) =>
  error instanceof Error && 'errcode' in error ? `SQLite error ${Number(error.errcode)}` : codeOf(error)

function statesIn(rows: readonly Record<string, unknown>[]): Map<string, number> {
  return new Map(rows.map(({ state, n }) => [String(state), Number(n)]))
}

async function examinePostgres(url: string, heroku: boolean, signal: AbortSignal): Promise<Finding[]> {
  const { host, searchParams } = new URL(url)
  const where = `Postgres at ${searchParams.get('host') || decodeURIComponent(host)}`
  try {
    const contents = await withClient(url, heroku, signal, readDatabase)
    if (contents.version === schemaVersion) await probePostgres(url, heroku)
    return judgeContents(where, contents)
  } catch (error) {
    if (error instanceof SetupError)
      return [bad(`${where} is reachable, but not for this role`, error.message)]
    // pg gives a timeout no code
    const late = error instanceof Error && !('code' in error && error.code) && /timeout/i.test(error.message)
    return [postgresTrouble(where, late ? `no answer within ${askMs / 1000} s` : codeOf(error))]
  }
}

/** The code is that of Postgres for a write that it refuses. */
class ReadOnlyDatabase extends Error {
  readonly code = '25006'
}

async function readDatabase(client: Client): Promise<StoreContents> {
  const readOnly = await client.query('show transaction_read_only')
  if (readOnly.rows[0]?.transaction_read_only === 'on') throw new ReadOnlyDatabase()
  const { rows } = await client.query(`select to_regclass('outbox_schema') is not null as there`)
  if (rows[0]?.there !== true) {
    const rights = await client.query(mayCreate)
    if (rights.rows[0]?.may !== true) throw setupError((await client.query(refusalQuery)).rows[0])
    return { version: undefined, states: new Map() }
  }
  const version = await client.query(versionSql)
  const states = await client.query(statesSql)
  return { version: Number(version.rows[0]?.version ?? 0), states: statesIn(states.rows) }
}

async function probePostgres(url: string, onHeroku: boolean): Promise<void> {
  const engine = postgresEngine({ url, onHeroku, maxConnections: 1 })
  try {
    await engine.probe()
  } catch (error) {
    throw error instanceof MailerError && error.cause instanceof Error ? error.cause : error
  } finally {
    await engine.close()
  }
}

async function withClient<T>(
  url: string,
  heroku: boolean,
  signal: AbortSignal,
  ask: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({
    ...addressAndTls(url, heroku),
    connectionTimeoutMillis: askMs,
    query_timeout: askMs,
    application_name: 'jwt-mailer doctor',
  })
  client.on('error', () => undefined)
  const end = () => void client.end().catch(() => undefined)
  signal.addEventListener('abort', end, { once: true })
  try {
    await client.connect()
    return await ask(client)
  } finally {
    end()
  }
}

function postgresTrouble(where: string, code: string): Finding {
  if (code === '57014' || code === '55P03')
    return bad(
      `${where} holds the outbox locked: a mail was not written in time (${code})`,
      'Look for what holds the lock: select * from pg_locks where not granted',
    )
  if (/^(42P|42703|XX|58)/.test(code))
    return bad(
      `${where} cannot write a mail: a table or an index of the outbox is missing or broken (${code})`,
      'Restore it, or rebuild the index: reindex table outbox_mail',
    )
  if (code.startsWith('28'))
    return bad(`${where} refuses the login (${code})`, 'Check user and password in DATABASE_URL.')
  if (code === '25006')
    return bad(`${where} takes no writes: it is a replica or read-only`, 'Point DATABASE_URL to the primary.')
  if (code === '3D000')
    return bad(`${where} has no such database (${code})`, 'Create it, or correct DATABASE_URL.')
  if (code === '42501')
    return bad(
      `${where} does not let this user see the outbox (${code})`,
      'Grant it, or use the owner of the tables.',
    )
  if (/CERT|SELF_SIGNED|SIGNATURE|ISSUER/.test(code))
    return bad(
      `${where} shows a certificate of an authority this machine does not trust (${code})`,
      'Trust its authority by NODE_EXTRA_CA_CERTS, or write sslmode=require to encrypt without verifying the server.',
    )
  return bad(
    `${where} cannot be reached (${code})`,
    'Check host and port in DATABASE_URL, and whether the database is running.',
  )
}

export function postgresClock(url: string, heroku: boolean): ClockSource {
  return (signal) =>
    withClient(url, heroku, signal, async (client) => {
      const { rows } = await client.query('select extract(epoch from clock_timestamp()) * 1000 as now')
      return { owner: 'the database', epochMs: Number(rows[0]?.now) }
    })
}
