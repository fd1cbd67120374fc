/**
 * Owns the tables and their migrations. To add a step: append one list of statements to `migrations`, never edit an old
 * one, and describe new columns below. The version is the length of the list; nothing else has to be changed.
 *
 * Each step is a transaction, and holds its locks as long as it lasts. An index on outbox_mail has a step of its own and
 * says `if not exists`: beside a change of the table it would keep readers out as well, and operators of many millions
 * of mails make it before they deploy (docs/operations.md).
 */
import { MailerError } from '../../errors.ts'
import { SetupError } from './setup.ts'
import type { Dialect, SqlValue, Statement, Steps } from './statement.ts'

/** Statements by the version they lead to, from 1. */
export type Migrations = readonly (readonly (string | ForPostgres)[])[]

/** SQLite has no such thing. */
interface ForPostgres {
  readonly postgres: string
}

/**
 * Replicas of the previous version keep running on the new schema until a deploy is complete, so a migration only adds
 * what they can ignore.
 *
 * outbox_mail: `due` is the time of the next change: the lease ends (sending), the mail is tried again (queued), the row
 * is deleted (sent, dead). `lease` is the random number of the lease, 0 unless the row is `sending`; it is needed to
 * settle the mail. `recipient` is an HMAC. `body` is the sealed token, and null once the mail is sent.
 * `feedback` is a word of src/feedback.ts, about the mail that was accepted at `created`; it is gone with the row.
 * outbox_use: the words of `OutboxUse` in operation.ts that this store has served.
 * outbox_suppression: `recipient` is the HMAC, `app` is `*` for all apps; no mail until `until`, which is 0 once a delivery
 * has lifted it; `since` is when that became known, or when the mail was accepted that decided last; `times` counts
 * bounces; the row is deleted at `forget`, and until then a new bounce counts as a repetition.
 * outbox_event: what apps are still to be called back for. `due` is the next try, or the end of the lease; `lease` is
 * its random number, 0 without one. `ends` is when the last try is made. `sequence` of outbox_mail is that of its
 * latest event.
 * outbox_hour: what was counted in the hour that began at `hour`, by the names of src/hour-counts.ts; `at` is the latest.
 * outbox_quota: one row for each limit, length of window and subject; `ends` is the end of the window that `n` counts.
 */
export const migrations: Migrations = [
  [
    `create table outbox_mail (
      id text not null primary key,
      app text not null,
      kind text not null,
      recipient text not null,
      body text,
      state text not null,
      lease bigint not null,
      attempts integer not null,
      due bigint not null,
      expires bigint not null,
      window_ms bigint not null,
      created bigint not null,
      done bigint,
      detail text,
      relay text,
      stay_until bigint
    )`,
    `create index outbox_mail_due on outbox_mail (state, due, created)`,
    `create table outbox_quota (key text not null primary key, ends bigint not null, n integer not null)`,
    `create index outbox_quota_ends on outbox_quota (ends)`,
  ],
  [
    `alter table outbox_mail add column feedback text`,
    `alter table outbox_mail add column feedback_at bigint`,
  ],
  [
    `create table outbox_suppression (
      recipient text not null,
      app text not null,
      reason text not null,
      since bigint not null,
      until bigint not null,
      times integer not null,
      forget bigint not null,
      primary key (recipient, app)
    )`,
    `create index outbox_suppression_since on outbox_suppression (since)`,
    `create index outbox_suppression_forget on outbox_suppression (forget)`,
  ],
  [
    `create table outbox_use (use text not null primary key)`,
    `insert into outbox_use (use) select 'inbox' where exists (select 1 from outbox_mail where relay = 'inbox')`,
  ],
  [
    `create index if not exists outbox_mail_expires on outbox_mail (expires, due, state) where state || '' = 'queued'`,
  ],
  [
    `alter table outbox_mail add column sequence bigint`,
    `create table outbox_event (
      id text not null primary key,
      app text not null,
      mail text not null,
      kind text not null,
      type text not null,
      detail text,
      at bigint not null,
      sequence bigint not null,
      due bigint not null,
      ends bigint not null,
      lease bigint not null,
      attempts integer not null
    )`,
    `create index outbox_event_due on outbox_event (app, due)`,
    `create index outbox_event_ends on outbox_event (ends)`,
  ],
  [
    // Every mail leaves two dead rows before it is deleted: by default vacuum waits for a fifth of the table.
    {
      postgres: `alter table outbox_mail set (
        autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000,
        autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 5000)`,
    },
    // A counter is changed by each of its mails. With room on its page no index learns of that (`ends` stays the same).
    {
      postgres: `alter table outbox_quota set (fillfactor = 50,
        autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000)`,
    },
  ],
  [
    `create table outbox_hour (
      hour bigint not null,
      name text not null,
      n bigint not null,
      at bigint not null,
      primary key (hour, name)
    )`,
    // Neither a mail that is being sent nor one that was sent is in it: a mail that is sent at once never pays for it.
    `create index if not exists outbox_mail_recipient on outbox_mail (recipient, state, due, created)
      where state || '' in ('queued', 'dead')`,
  ],
]

/** The version in `outbox_schema` once all migrations have run. */
export const schemaVersion = migrations.length

const statement = (sql: string, ...params: SqlValue[]): Statement => ({ sql, params })

export interface Opening {
  /** This process has had the store open before. */
  readonly again?: boolean
  readonly wanted?: Migrations
}

/** Whether nothing is left to install. */
export function* isInstalled(dialect: Dialect, { again, wanted = migrations }: Opening = {}): Steps<boolean> {
  const found = yield* installedVersion(dialect)
  if (found === undefined || found < wanted.length) return false
  // A newer one that appears beside a running process is a deploy: this process can ignore what that has added.
  if (found > wanted.length && again !== true) throw schemaNewer(found, wanted.length)
  return true
}

/**
 * One transaction towards this program's schema, and whether it was the last. An empty database takes all steps at once,
 * an older one a step each time.
 */
export function* installNext(dialect: Dialect, opening: Opening = {}): Steps<boolean> {
  // Before the first statement: two replicas that create the same table fail, even with `if not exists`.
  for (const sql of dialect.installLocks) yield [statement(sql)]
  if (yield* isInstalled(dialect, opening)) return true
  const { wanted = migrations } = opening
  const found = yield* installedVersion(dialect)
  const next = found === undefined ? wanted.length : found + 1
  if (found === undefined) yield [statement('create table outbox_schema (version integer not null)')]
  for (const step of wanted.slice(found ?? 0, next).flat()) {
    if (typeof step === 'string') yield [statement(step)]
    else if (dialect.name === 'postgres') yield [statement(step.postgres)]
  }
  yield [statement('delete from outbox_schema')]
  yield [statement('insert into outbox_schema (version) values ($1)', next)]
  return next === wanted.length
}

/** `undefined`: there is not even the table that holds the version. */
function* installedVersion(dialect: Dialect): Steps<number | undefined> {
  const [tables] = yield [statement(dialect.hasSchema)]
  if (Number(tables?.[0]?.['there']) === 0) return undefined
  const [rows] = yield [statement('select version from outbox_schema')]
  return Number(rows?.[0]?.['version'] ?? 0)
}

function schemaNewer(found: number, known: number): MailerError {
  const sentence =
    `The outbox was set up by a newer jwt-mailer (schema ${found}; this program knows ${known}). ` +
    'Start that version again, or give this one another DATABASE_URL or DATA_DIR.'
  return new MailerError('store_unavailable', { reason: 'schema_newer', cause: new SetupError(sentence) })
}
