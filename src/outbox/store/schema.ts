/** Owns the tables and how they come to be. A change is a new entry at the end of `migrations`, never an edit of an old one. */
import { MailerError } from '../../errors.ts'
import type { Dialect, SqlValue, Statement, Steps } from './statement.ts'

/** Statements by the version they lead to, from 1. */
export type Migrations = readonly (readonly string[])[]

/**
 * Replicas of the version before keep running on the new schema until the deploy is through, so a migration only adds
 * what they can ignore.
 *
 * outbox_mail: `due` is when somebody must look at the row again: the lease ends (sending), the next try (queued), the
 * day it is forgotten (sent, dead). `lease` is a random number chosen by whoever claims the row; only who knows it may
 * move the row on. It is 0 unless the row is `sending`. `recipient` is an HMAC, `body` the sealed token and null once sent.
 * outbox_quota: one row per limit, window length and subject; `ends` is the end of the window that `n` counts.
 */
const migrations: Migrations = [
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
]

/** What `outbox_schema` says once all of them have run. */
export const schemaVersion = migrations.length

const statement = (sql: string, ...params: SqlValue[]): Statement => ({ sql, params })

/** The transaction that brings an empty or older database to this program's schema. */
export function* installSchema(dialect: Dialect, wanted: Migrations = migrations): Steps<void> {
  // The lock goes alone: without it two replicas creating the same table fail, `if not exists` or not.
  if (dialect.installLock !== undefined) yield [statement(dialect.installLock)]
  yield [statement('create table if not exists outbox_schema (version integer not null)')]
  const [rows] = yield [statement('select version from outbox_schema')]
  const found = rows?.[0] === undefined ? 0 : Number(rows[0]['version'])
  if (found > wanted.length) throw schemaNewer(found, wanted.length)
  if (found === wanted.length) return
  for (const sql of wanted.slice(found).flat()) yield [statement(sql)]
  yield [statement('delete from outbox_schema')]
  yield [statement('insert into outbox_schema (version) values ($1)', wanted.length)]
}

function schemaNewer(found: number, known: number): MailerError {
  const sentence =
    `The outbox was set up by a newer jwt-mailer (schema ${found}; this program knows ${known}). ` +
    'Start that version again, or give this one another DATABASE_URL or DATA_DIR.'
  return new MailerError('store_unavailable', { reason: 'schema_newer', cause: new Error(sentence) })
}
