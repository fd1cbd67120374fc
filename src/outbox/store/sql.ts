/**
 * Owns the SQL of the outbox's verbs, in their order; that of feedback, suppression, erasing and events has files of its own. Both
 * databases run the same text, but for the few words of their dialect.
 */
import {
  type AcceptOperation,
  type LatestDue,
  type MailState,
  mostCounted,
  type Operation,
  type OutboxUse,
  type SettleOperation,
} from './operation.ts'
import { eraseSql } from './erase-sql.ts'
import { eventSql } from './event-sql.ts'
import { feedbackSql } from './feedback-sql.ts'
import { hourSql } from './hour-sql.ts'
import type { Tally } from './quotas.ts'
import { byId, hasListedId, idsOf, json, mailColumns, statement, text, whole } from './rows.ts'
import { searchSql } from './search-sql.ts'
import type { Dialect } from './statement.ts'
import { eitherWay, lookup, suppressionSql } from './suppression-sql.ts'

type LeaseOperation = Extract<Operation, { op: 'lease' }>
type RequeueOperation = Extract<Operation, { op: 'requeue' }>
type GiveUpOperation = Extract<Operation, { op: 'giveUp' }>

/** Older ones, which the first releases of Node 24 have, know the elements of JSON as text only. */
const [major = 0, minor = 0] = (process.versions['sqlite'] ?? '').split('.').map(Number)
const hasJsonbEach = major > 3 || (major === 3 && minor >= 51)

export const sqliteDialect: Dialect = {
  // as text, an element would be parsed anew for each of its columns
  each: hasJsonbEach ? 'jsonb_each($1)' : 'json_each($1)',
  name: 'sqlite',
  forUpdate: '',
  skipLocked: '',
  hasSchema: `select count(*) as there from sqlite_master where name = 'outbox_schema'`,
  installLocks: [],
}

export const postgresDialect: Dialect = {
  name: 'postgres',
  each: 'jsonb_array_elements($1::jsonb)',
  forUpdate: 'for update',
  skipLocked: 'for update skip locked',
  // Reads a table, because only then does Postgres notice what another replica has created in the meantime.
  hasSchema: `select count(to_regclass('outbox_schema')) as there from pg_class where oid = 'pg_class'::regclass`,
  // The other replica may build an index for minutes. A table is asked for in short turns: all mails queue behind a step
  // that waits for somebody's long transaction.
  installLocks: ['select pg_advisory_xact_lock(7823901156)', `set local lock_timeout = '2s'`],
}

const withoutQuotas = ({ quotas: _quotas, ...row }: AcceptOperation) => row
const latest = (list: readonly AcceptOperation[]) => Math.max(...list.map(({ now }) => now))

function acceptSql(dialect: Dialect) {
  const { each, forUpdate } = dialect
  const insertWhere = (condition: string) => `insert into outbox_mail
    (id, app, kind, recipient, body, state, lease, attempts, due, expires, window_ms, created)
    select ${text('id')}, ${text('app')}, ${text('kind')}, ${text('recipient')}, ${text('body')}, 'sending',
      ${whole('leaseId')}, 1, ${whole('due')}, ${whole('expires')}, ${whole('windowMs')}, ${whole('now')}
    from ${each} where ${condition} on conflict (id) do nothing returning id`
  const insert = insertWhere('true')
  const insertUnsuppressed = eitherWay((condition) => insertWhere(`not ${condition}`))
  // `state || ''` hides the column from the planner, whose old statistics may make it read the index by state.
  const takeable = `select id from outbox_mail
    where ${hasListedId(dialect)} and (state || '' = 'dead' or (state || '' = 'sent' and due <= $2))
    order by id ${forUpdate}`
  const takeOver = `update outbox_mail set recipient = s.recipient, body = s.body, state = 'sending', lease = s.lease,
      attempts = 1, due = s.due, expires = s.expires, window_ms = s.window_ms, created = s.now,
      done = null, detail = null, relay = null, stay_until = null, feedback = null, feedback_at = null
    from (select ${text('id')} as mail, ${text('recipient')} as recipient, ${text('body')} as body,
      ${whole('leaseId')} as lease, ${whole('due')} as due, ${whole('expires')} as expires,
      ${whole('windowMs')} as window_ms, ${whole('now')} as now from ${each}) as s
    where outbox_mail.id = s.mail`
  const remove = `delete from outbox_mail where ${hasListedId(dialect)}`
  // The clocks of replicas differ: the window that one of them has begun counts for all, unless it lies too far ahead.
  const count = `insert into outbox_quota (key, ends, n) select ${text('key')}, ${whole('ends')}, ${whole('n')}
    from ${each} where true
    on conflict (key) do update set
      n = case when outbox_quota.ends between excluded.ends and $2 then outbox_quota.n + excluded.n else excluded.n end,
      ends = case when outbox_quota.ends between excluded.ends and $2 then outbox_quota.ends else excluded.ends end
    returning key, ends, n`
  const uncount = `update outbox_quota set n = outbox_quota.n - s.n
    from (select ${text('key')} as quota, ${whole('n')} as n from ${each}) as s where outbox_quota.key = s.quota`
  return {
    /** All but those of suppressed recipients. */
    insert: (mails: readonly AcceptOperation[]) => {
      const rows = json(mails.toSorted(byId).map(withoutQuotas))
      const looks = lookup(mails)
      return looks ? statement(insertUnsuppressed[looks.by], rows, ...looks.params) : statement(insert, rows)
    },
    takeable: (mails: readonly AcceptOperation[]) => statement(takeable, idsOf(mails), latest(mails)),
    takeOver: (mails: readonly AcceptOperation[]) => statement(takeOver, json(mails.map(withoutQuotas))),
    remove: (mails: readonly { id: string }[]) => statement(remove, idsOf(mails)),
    count: (quotas: readonly Tally[]) =>
      statement(count, json(quotas), Math.max(...quotas.map(({ latestEnd }) => latestEnd))),
    uncount: (quotas: readonly object[]) => statement(uncount, json(quotas)),
  }
}

function settleSql({ each }: Dialect) {
  const settle = `update outbox_mail set state = s.state, lease = 0, attempts = s.attempts, due = s.due,
      detail = s.detail, relay = coalesce(s.relay, outbox_mail.relay),
      stay_until = coalesce(s.stay_until, outbox_mail.stay_until),
      done = case when s.state = 'dead' then s.now end
    from (select ${text('id')} as mail, ${text('state')} as state, ${whole('leaseId')} as lease,
      ${whole('attempts')} as attempts, ${whole('due')} as due, ${text('detail')} as detail, ${text('relay')} as relay,
      ${whole('stayUntil')} as stay_until, ${whole('now')} as now from ${each}) as s
    where outbox_mail.id = s.mail and outbox_mail.lease = s.lease
    returning outbox_mail.id, outbox_mail.state, outbox_mail.detail`
  const settleSent = `update outbox_mail set state = 'sent', lease = 0, due = s.now + window_ms, done = s.now,
      detail = s.detail, relay = s.relay, stay_until = null, body = null
    from (select ${text('id')} as mail, ${text('detail')} as detail, ${text('relay')} as relay, ${whole('now')} as now
      from ${each}) as s
    where outbox_mail.id = s.mail and outbox_mail.state <> 'sent'`
  const settleSentTold = `${settleSent} returning outbox_mail.id`
  return {
    settle: (list: readonly SettleOperation[]) => statement(settle, json(list.toSorted(byId))),
    /** Answers with the mails that it has changed, where an event is to tell of one. */
    settleSent: (list: readonly SettleOperation[]) =>
      statement(list.some(({ event }) => event) ? settleSentTold : settleSent, json(list.toSorted(byId))),
  }
}

/** Of the mails whose links die soonest, so many are looked through for those that are due. */
const soonest = 1000
const expireAtOnce = 500

/** By `soonest`: the due mails whose links die first, where they are among the next thousand to die. By `queued`: the rest. */
type LeaseOrder = 'soonest' | 'queued' | 'sending'

/**
 * As the index outbox_mail_expires says it. With the plain column, the index by due mails could be used too, and would be:
 * it reads and sorts the whole backlog for each lease.
 */
const isQueued = `state || '' = 'queued'`

function leaseSql({ skipLocked }: Dialect) {
  const inOrderOfDue = (state: MailState) =>
    `select id from outbox_mail where state = '${state}' and due <= $1 order by due limit $2 ${skipLocked}`
  // The bound keeps a look short while a million mails wait for their next try.
  const inOrderOfDeath = `select id from outbox_mail
    where ${isQueued} and expires > $1 and due <= $1 and expires <= coalesce((select expires from outbox_mail
      where ${isQueued} and expires > $1 order by expires limit 1 offset ${soonest}), ${Number.MAX_SAFE_INTEGER})
    order by expires limit $2 ${skipLocked}`
  // Materialized, or Postgres may run a subquery with a limit more than once and lock more than it returns.
  const lease = (candidates: string) => `with mine as materialized (${candidates})
    update outbox_mail set
      state = case when expires <= $1 then 'dead' else 'sending' end,
      attempts = case when expires <= $1 or attempts >= 1000000 then attempts else attempts + 1 end,
      due = case when expires <= $1 then cast($4 as bigint) else cast($3 as bigint) end,
      detail = case when expires <= $1 then 'expired' else detail end,
      done = case when expires <= $1 then $1 end,
      lease = case when expires <= $1 then 0 else cast($5 as bigint) end
    where id in (select id from mine) returning ${mailColumns}, body, stay_until`
  const expire = `with mine as materialized
      (select id from outbox_mail where ${isQueued} and expires <= $1
        order by expires limit ${expireAtOnce} ${skipLocked})
    update outbox_mail set state = 'dead', due = cast($2 as bigint), detail = 'expired', done = $1
    where id in (select id from mine) returning ${mailColumns}, body, stay_until`
  const orders: Record<LeaseOrder, string> = {
    soonest: lease(inOrderOfDeath),
    queued: lease(inOrderOfDue('queued')),
    sending: lease(inOrderOfDue('sending')),
  }
  return {
    lease: ({ now, limit, due, forgetAt, leaseId }: LeaseOperation, order: LeaseOrder) =>
      statement(orders[order], now, limit, due, forgetAt, leaseId),
    /** Answers with mails that died waiting, due or not. */
    expire: ({ now, forgetAt }: LeaseOperation) => statement(expire, now, forgetAt),
  }
}

function readSql(dialect: Dialect) {
  const find = `select ${mailColumns} from outbox_mail where ${hasListedId(dialect)}`
  // no index has them by `created`, and ten million cannot be sorted while somebody waits
  const list = `select * from (select ${mailColumns} from outbox_mail where state = $1 order by due desc limit $3) as latest
    order by created desc, id limit $2`
  // each state by itself, because a group of all would be sorted first
  const upTo = (state: MailState) => `select '${state}' as state, count(*) as n, min(created) as oldest
    from (select created from outbox_mail where state = '${state}' limit $1) as ${state}`
  const stats = (['sending', 'queued', 'dead'] as const).map(upTo).join(' union all ')
  const countSent = `select count(*) as n from (select 1 from outbox_mail where state = 'sent' limit $1) as sent`
  return {
    find: (mails: readonly { id: string }[]) => statement(find, idsOf(mails)),
    list: (state: MailState, limit: number) => statement(list, state, limit, mostCounted),
    stats: (most: number) => statement(stats, most),
    countSent: (most: number) => statement(countSent, most),
  }
}

function useSql() {
  const use = 'insert into outbox_use (use) values ($1) on conflict do nothing'
  return {
    use: (name: OutboxUse) => statement(use, name),
    uses: () => statement('select use from outbox_use'),
  }
}

function requeueSql({ skipLocked }: Dialect) {
  const revive = `update outbox_mail set state = 'queued', lease = 0, attempts = 0, due = $1, done = null,
    expires = case when expires > $2 then expires else $2 end`
  // One that is leased may be with a relay just now. A row that somebody has locked is about to be leased.
  const giveUp = `with mine as materialized
      (select id from outbox_mail where id = $1 and ${isQueued} ${skipLocked})
    update outbox_mail set state = 'dead', due = cast($2 as bigint), detail = 'given_up', done = $3
    where id in (select id from mine) returning id, app, state`
  const one = `${revive} where state = 'dead' and body is not null and id = $3 returning id`
  const all = `${revive} where id in (select id from outbox_mail
    where state = 'dead' and body is not null and done <= $4 order by due limit $3 ${skipLocked}) returning id`
  return {
    requeue: ({ id, now, expires, limit, diedBy }: RequeueOperation) =>
      id === null ? statement(all, now, expires, limit, diedBy) : statement(one, now, expires, id),
    giveUp: ({ id, forgetAt, now }: GiveUpOperation) => statement(giveUp, id, forgetAt, now),
  }
}

function purgeSql({ skipLocked }: Dialect) {
  const purge = `delete from outbox_mail where id in
    (select id from outbox_mail where state = $1 and due <= $2 order by due limit $3 ${skipLocked}) returning id`
  const purgeQuota = `delete from outbox_quota where key in
    (select key from outbox_quota where ends <= $1 limit $2 ${skipLocked}) returning key`
  const bringForward = `update outbox_mail set due = $2 where id in
    (select id from outbox_mail where state = $1 and due > $3 order by due limit $4 ${skipLocked})`
  return {
    bringForward: ({ state, due, latest: beyond }: LatestDue, limit: number) =>
      statement(bringForward, state, due, beyond, limit),
    purge: (state: MailState, now: number, limit: number) => statement(purge, state, now, limit),
    purgeQuota: (now: number, limit: number) => statement(purgeQuota, now, limit),
  }
}

const sqlIn = (dialect: Dialect) => ({
  ...acceptSql(dialect),
  ...settleSql(dialect),
  ...leaseSql(dialect),
  ...readSql(dialect),
  ...useSql(),
  ...requeueSql(dialect),
  ...purgeSql(dialect),
  ...feedbackSql(dialect),
  ...suppressionSql(dialect),
  ...eraseSql(dialect),
  ...eventSql(dialect),
  ...searchSql,
  ...hourSql(dialect),
})

export type Sql = ReturnType<typeof sqlIn>

export const sqliteSql = sqlIn(sqliteDialect)
export const postgresSql = sqlIn(postgresDialect)
