/**
 * Measures how the tables grow on Postgres: the outbox takes and settles mails at a steady rate and forgets them after ten
 * minutes, and a transaction is held open for a while. Without HTTP and without a relay. A line of JSON a minute.
 */
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { Client } from 'pg'
import { mailId } from '../src/outbox/mail-id.ts'
import { openOutbox } from '../src/outbox/outbox.ts'
import { postgresEngine } from '../src/outbox/store/postgres.ts'
import { startPostgres } from '../test/support/postgres.ts'
import { count, number } from './options.ts'

const help = `
Figures of a line:
  mails        accepted and settled as sent in this minute
  liveRows     what Postgres believes to be in outbox_mail
  deadMail     former versions of rows in outbox_mail that still take room, the most seen in this minute
  deadQuota    the same for outbox_quota
  tableMiB     outbox_mail without its indexes
  indexMiB     the indexes of outbox_mail
  vacuums      how often autovacuum has been at outbox_mail since the start
  held         is the other transaction open?`
const options = new Command('bench/growth.ts')
  .description('Measures dead rows and the size of the tables on Postgres, hour-long by default.')
  .option('--rate <n>', 'mails a second', count, 500)
  .option('--minutes <n>', 'how long', count, 60)
  .option('--rows <n>', 'sent mails that the store already holds', number, 0)
  .option('--hold-from <n>', 'the minute in which the other transaction begins', number, 25)
  .option('--hold <n>', 'how many minutes it stays open; 0 for none', number, 10)
  .option('--defaults', "with Postgres's own autovacuum thresholds", false)
  .addHelpText('after', help)
  .parse()
  .opts<{
    rate: number
    minutes: number
    rows: number
    holdFrom: number
    hold: number
    defaults: boolean
  }>()

const minuteMs = 60_000
const postgres = await startPostgres({ own: true })
const silent = { info() {}, warn() {}, error: (...what: unknown[]) => console.error(...what) }
const token = `header.${'x'.repeat(600)}.signature`
const outbox = await openOutbox({
  engine: postgresEngine({ url: postgres.url }),
  secrets: ['a secret for the bench, long enough'],
  limits: { recipient: { max: 30, windowMs: 3_600_000 } },
  log: silent,
})
await outbox.ready(10_000)
const database = new Client(postgres.url)
await database.connect()
if (options.defaults) {
  const settings = ['vacuum_scale_factor', 'vacuum_threshold', 'analyze_scale_factor', 'analyze_threshold']
  const names = settings.map((name) => `autovacuum_${name}`).join(', ')
  await database.query(`alter table outbox_mail reset (${names})`)
  await database.query(
    `alter table outbox_quota reset (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold)`,
  )
}
if (options.rows > 0) {
  const now = Date.now()
  await database.query(`insert into outbox_mail
    (id, app, kind, recipient, state, lease, attempts, due, expires, window_ms, created, done, detail, relay)
    select md5(n::text), 'default', 'confirmation', 'recipientrecipientreci', 'sent', 0, 1, ${now} + 80000000 + n % 1000000,
      ${now} + 80000000, 86400000, ${now}, ${now}, 'accepted', 'smtp' from generate_series(1, ${options.rows}) as s(n)`)
  await database.query('vacuum analyze outbox_mail')
}

let issued = 0
let sent = 0
let refused = 0
let waiting = 0

async function sendMail(): Promise<void> {
  const n = (issued += 1)
  const id = mailId({ app: 'default', kind: 'confirmation', jti: `growth-${n}`, token })
  const recipient = `user${n % 100_000}@example.org`
  const mail = { id, app: 'default', kind: 'confirmation', recipient, token }
  waiting += 1
  try {
    const windowMs = 10 * minuteMs
    const accepted = await outbox.accept({ ...mail, expires: Date.now() + windowMs, windowMs })
    if (accepted.state !== 'owner') throw new Error(`unexpected: ${accepted.state}`)
    // as long as a relay takes
    await sleep(50)
    await outbox.settle(accepted.lease, { state: 'sent', relay: 'smtp', detail: 'accepted' })
    sent += 1
  } catch {
    refused += 1
  }
  waiting -= 1
}

interface Sizes {
  readonly live: number
  readonly dead: number
  readonly quota: number
  readonly table: number
  readonly index: number
  readonly vacuums: number
}
async function sizes(): Promise<Sizes> {
  const { rows } = await database.query<Record<keyof Sizes, string>>(`select
    m.n_live_tup as live, m.n_dead_tup as dead, q.n_dead_tup as quota, m.autovacuum_count as vacuums,
    pg_relation_size('outbox_mail') as table, pg_indexes_size('outbox_mail') as index
    from pg_stat_user_tables m, pg_stat_user_tables q
    where m.relid = 'outbox_mail'::regclass and q.relid = 'outbox_quota'::regclass`)
  const [row] = rows
  const of = (name: keyof Sizes) => Number(row?.[name])
  return {
    live: of('live'),
    dead: of('dead'),
    quota: of('quota'),
    table: of('table'),
    index: of('index'),
    vacuums: of('vacuums'),
  }
}
const mib = (bytes: number) => Math.round(bytes / 1024 ** 2)

let holder: Client | undefined
/** Reads once, as a report does that somebody has left open: vacuum removes nothing that became dead since. */
async function hold(): Promise<void> {
  holder = new Client(postgres.url)
  await holder.connect()
  await holder.query('begin isolation level repeatable read')
  await holder.query('select count(*) from outbox_quota')
}
async function release(): Promise<void> {
  await holder?.end()
  holder = undefined
}

const started = performance.now()
const end = started + options.minutes * minuteMs
/** The load: as many mails as are due by now, looked at every 10 ms. */
async function drive(): Promise<void> {
  const begun = performance.now()
  let due = 0
  while (performance.now() < end) {
    due = ((performance.now() - begun) * options.rate) / 1000
    while (issued < due && waiting < 5_000) void sendMail()
    await sleep(10)
  }
}
async function watch(): Promise<void> {
  for (let minute = 1; minute <= options.minutes; minute += 1) {
    if (options.hold > 0 && minute === options.holdFrom) await hold()
    if (minute === options.holdFrom + options.hold) await release()
    const before = { sent, refused }
    let dead = 0
    let quota = 0
    let last = await sizes()
    void outbox.purge()
    while (performance.now() < started + minute * minuteMs) {
      await sleep(5_000)
      last = await sizes()
      dead = Math.max(dead, last.dead)
      quota = Math.max(quota, last.quota)
    }
    console.log(
      JSON.stringify({
        minute,
        mails: sent - before.sent,
        refused: refused - before.refused,
        liveRows: last.live,
        deadMail: dead,
        deadQuota: quota,
        tableMiB: mib(last.table),
        indexMiB: mib(last.index),
        vacuums: last.vacuums,
        held: holder !== undefined,
      }),
    )
  }
}
await Promise.all([drive(), watch()])
await release()
await outbox.close()
await database.end()
await postgres.close()
